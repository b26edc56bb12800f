/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams that are passed through are moved by a worker of their own, the splice worker: what a container writes to its host
 * costs the agent's loop nothing and delays no call. It is started with the first stream and ends with the agent. Loop
 * side: never blocks.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"

struct jobs;
struct splice_worker;
struct splice_stream; /* one stream */

/* The stream has ended and both of its descriptors are closed; the handle is gone. */
typedef void splice_worker_done_fn(void *data);

/* NULL and err. Nothing is started yet. */
struct splice_worker *splice_worker_new(struct loop *loop, struct jobs *jobs, struct error *err);

/* After jobs_free(): no worker runs any more. No done is called. NULL is allowed. */
void splice_worker_free(struct splice_worker *p);

/* Moves what comes from `from` to `to` until one of them ends. Both are taken over, also on failure. NULL and err. */
struct splice_stream *splice_worker_add(struct splice_worker *p, int from, int to,
					splice_worker_done_fn *done, void *data, struct error *err);

/* The process that writes it has exited: see splice_exited(). */
void splice_worker_exited(struct splice_stream *s);

/* Ends the stream where it is; done is not called, the handle is gone. NULL is allowed. */
void splice_worker_drop(struct splice_stream *s);
