/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a container that are described by the guest's CDI specs, and the wait for them:
 *
 *    read the specs (worker) -> found
 *      ^        | something is missing
 *      |        v
 *      +---- wait for a change (inotify) -> timed out
 *
 * If a container has taken all watches of inotify, the specs are read every second instead. Loop
 * side: never blocks, and occupies no worker while it waits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/cdi/names.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"
#include "lib/pending.h"

struct jobs;

struct cdi_parts {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	/* The time for specs of the kind to appear, and then for the device to appear in them, in
	 * milliseconds. */
	uint64_t timeout_ms, device_ms;
};

/* Receives a packed Grpc__Spec with what is to be added to the container's, valid until the return;
 * or NULL and the error: NOT_FOUND if the wait timed out. */
typedef void cdi_found_fn(const struct error *err, const uint8_t *edits, size_t size, void *data);

/* Looks for n > 0 devices, for a container with this user and group. The names outlive the wait.
 * found is called once, never before this returns, and not after pending_cancel(). Returns NULL and
 * sets err if memory runs out. */
struct pending *cdi_find(const struct cdi_parts *parts, const struct cdi_names *names, uint32_t uid,
			 uint32_t gid, cdi_found_fn *found, void *data, struct error *err);
