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

struct splice;

/* After the last thing that is done to it: both descriptors are closed, the splice is to be freed. errnum: why it ended,
 * 0 for the end of the stream. A terminal ends it only once the process has exited: until then it may be opened again. */
typedef void splice_done_fn(struct splice *r, int errnum, void *data);

/* Takes both descriptors over, also when it fails, and makes them non-blocking. NULL and err. done is never called from
 * inside. */
struct splice *splice_new(struct loop *loop, int from, int to, splice_done_fn *done, void *data,
			  struct error *err);

/* The process has exited: what is there is moved on, and then STDIO_QUIET_MS of silence are the end, whoever else holds
 * the stream open. If the other side takes nothing for unread_ms, the rest is dropped: done gets ETIMEDOUT. */
void splice_exited(struct splice *r, uint64_t unread_ms);

/* Closes what is open; done is not called. */
void splice_free(struct splice *r);
