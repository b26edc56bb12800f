/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches whether all pods together have reached memory.high, and then holds the container that uses the most at less
 * than it uses, until it has calmed down. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/list.h"

struct job;
struct sandbox;
struct timer;
struct watch;

struct pressure {
	struct sandbox *s;
	struct watch
		*watch; /* NULL: the guest's init is not ours, or the kernel has no such file */
	int fd;
	uint64_t seen;
	struct job *job;     /* looks, holds and releases */
	struct timer *timer; /* until the next look */
	bool again;          /* memory.high was reached since the last look */
	struct list holds;
};

/* Starts watching if our init has limited the pods. A failure is logged. */
void pressure_start(struct pressure *p, struct sandbox *s);

/* After jobs_free(). */
void pressure_release(struct pressure *p);
