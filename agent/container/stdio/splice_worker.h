/* SPDX-License-Identifier: Apache-2.0 */
/* The splice worker, which moves the streams that are passed through, so that a container's output
 * does not load the agent's loop or delay calls. It is started with the first stream and ends with
 * the agent. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"

struct jobs;
struct splice_worker;
/* The handle of one stream. */
struct splice_stream;

/* Called when the stream has ended and both descriptors are closed; the handle is no longer
 * valid. */
typedef void splice_worker_done_fn(void *data);

/* Allocates the handle; the worker itself is started with the first stream. Returns NULL and err
 * on failure. */
struct splice_worker *splice_worker_new(struct loop *loop, struct jobs *jobs, struct error *err);

/* Frees the handle. Called after jobs_free(), when the worker no longer runs. No `done` is
 * called. `p` may be NULL. */
void splice_worker_free(struct splice_worker *p);

/* Moves data from `from` to `to` until one of them ends. Both are consumed, also on failure.
 * Returns NULL and err on failure. */
struct splice_stream *splice_worker_add(struct splice_worker *p, int from, int to,
					splice_worker_done_fn *done, void *data, struct error *err);

/* Notes that the process has exited (splice_exited()). */
void splice_worker_exited(struct splice_stream *s);

/* Ends the stream at once and frees the handle. `done` is not called. `s` may be NULL. */
void splice_worker_drop(struct splice_stream *s);
