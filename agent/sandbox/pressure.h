/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches whether all pods together have reached memory.high. If so, limits the container that uses
 * the most memory to less than it uses, until its usage has dropped. Loop side: never blocks.
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
	/* NULL: the guest's init is not tatami's, or the kernel has no such file. */
	struct watch *watch;
	int fd;
	uint64_t seen;
	/* The worker that compares the containers, limits one, and restores limits. */
	struct job *job;
	/* Runs until the next look. */
	struct timer *timer;
	/* memory.high was reached since the last look. */
	bool again;
	struct list holds;
};

/* Starts watching if tatami's init has limited the pods. A failure is logged. */
void pressure_start(struct pressure *p, struct sandbox *s);

/* Releases everything; must be called after jobs_free(). */
void pressure_release(struct pressure *p);
