/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps copies of volumes (mirror.h) like their sources: one worker for each share looks at the
 * sources of all its volumes. Without volumes there is no worker. Loop side: never blocks.
 */
#pragma once

#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"

struct jobs;
struct followers;
struct follow;

struct follow_spec {
	/* The volume on the share: a path of the guest. */
	const char *source;
	/* The place of the copy (mirror.h); remains the caller's. */
	int place;
	/* The device number of the share. */
	uint64_t dev;
};

struct followers *followers_new(struct loop *loop, struct jobs *jobs, const struct roots *roots,
				struct error *err);
/* Frees all volumes that are still followed, too. Must be called after jobs_free(). */
void followers_free(struct followers *all);

/* Starts following a volume. */
struct follow *follow_start(struct followers *all, const struct follow_spec *spec,
			    struct error *err);

/* Stops following: the worker closes its files at once unless it waits for the share. May be
 * NULL. */
void follow_stop(struct follow *f);
