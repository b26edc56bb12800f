/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stream of a process that is passed through: bytes go from one descriptor to another with splice(2), never
 * through our memory. A pipe is spliced directly; between a terminal and a socket there is a pipe of our own. Used by
 * the worker of splice_worker.c. Loop side: never blocks; must never log (a worker's log goes nowhere).
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"

struct relay;

/* After the last thing that is done to it: both descriptors are closed, the relay is to be freed. errnum: why it ended,
 * 0 for the end of the stream. A terminal ends it only once the process has exited: until then it may be opened again. */
typedef void relay_done_fn(struct relay *r, int errnum, void *data);

/* Takes both descriptors over, also when it fails, and makes them non-blocking. NULL and err. done is never called from
 * inside. */
struct relay *relay_new(struct loop *loop, int from, int to, relay_done_fn *done, void *data,
			struct error *err);

/* The process has exited: what is there is moved on, and then STDIO_QUIET_MS of silence are the end, whoever else holds
 * the stream open. If the other side takes nothing for unread_ms, the rest is dropped: done gets ETIMEDOUT. */
void relay_exited(struct relay *r, uint64_t unread_ms);

/* Closes what is open; done is not called. */
void relay_free(struct relay *r);
