/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that are passed through are moved by a worker of their own, the pump: what a container writes to its host
 * costs the agent's loop nothing and delays no call. It is started with the first stream and ends with the agent. Loop
 * side: never blocks.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"

struct jobs;
struct pump;
struct pumped; /* one stream */

/* The stream has ended and both of its descriptors are closed; the handle is gone. */
typedef void pump_done_fn(void *data);

/* NULL and err. Nothing is started yet. */
struct pump *pump_new(struct loop *loop, struct jobs *jobs, struct error *err);

/* After jobs_free(): no worker runs any more. No done is called. NULL is allowed. */
void pump_free(struct pump *p);

/* Moves what comes from `from` to `to` until one of them ends. Both are taken over, also on failure. NULL and err. */
struct pumped *pump_add(struct pump *p, int from, int to, pump_done_fn *done, void *data,
			struct error *err);

/* The process that writes it has exited: see relay_exited(). */
void pump_exited(struct pumped *s);

/* Ends the stream where it is; done is not called, the handle is gone. NULL is allowed. */
void pump_drop(struct pumped *s);
