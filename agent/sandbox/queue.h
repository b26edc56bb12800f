/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that change a container, in one queue per container id: each runs when all earlier
 * ones have ended. Queues of different ids are independent. Loop side: never blocks. Knows neither
 * containers nor calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/pending.h"

struct op;
struct op_queue;

/* All queues. A queue exists while it has operations. */
struct op_queues {
	struct list queues;
};

/* The result of an operation's `run`. */
enum op_outcome {
	/* err is set. */
	OP_FAILED = -1,
	OP_DONE = 0,
	/* op_finish() follows, never from inside `run`. */
	OP_PENDING = 1,
};

/* Reports an operation's end; err->code is ERROR_OK on success. The operation is already freed. */
typedef void op_done_fn(const struct error *err, void *data);

struct op_class {
	/* For logs and messages, such as "create container". */
	const char *name;
	enum op_outcome (*run)(struct op *op, struct error *err);
	/* Ends a running operation early with `why`; op_finish() follows, perhaps from inside.
	 * NULL: the operation cannot be ended early. */
	void (*abort)(struct op *op, const struct error *why);
	/* Frees an operation that is in no queue and does not run. */
	void (*free)(struct op *op);
	/* op_queue_abort_waiting() leaves the operation in its queue. */
	bool stays;
	/* The operation runs to completion even if its caller no longer waits. Others are then
	 * dropped or aborted. */
	bool goes_on;
};

/* The head of every kind of operation. op_submit() sets all members but `class`. */
struct op {
	const struct op_class *class;
	struct list node;
	struct op_queue *queue;
	struct pending pending;
	op_done_fn *done;
	void *data;
	bool running;
	bool aborted;
	/* The log context of the call, while the operation waits. */
	struct log_context *log;
};

void op_queues_init(struct op_queues *queues);

/* Appends op to the queue of `id` and runs it if the queue was empty. Takes ownership of op in any
 * case. Returns OP_PENDING if the caller is to wait on op->pending; otherwise the operation has
 * ended or could not be queued, is freed, and `done` is never called. */
enum op_outcome op_submit(struct op_queues *queues, const char *id, struct op *op, op_done_fn *done,
			  void *data, struct error *err);

/* Ends a pending operation: frees it, calls `done`, and runs the next one. `err` may be NULL for
 * success. */
void op_finish(struct op *op, const struct error *err);

/* Calls `done` with `err` now; the operation itself continues. */
void op_answer(struct op *op, const struct error *err);

/* Aborts every waiting operation of `id` with `why`, except those whose class says `stays`. The
 * running one continues. */
void op_queue_abort_waiting(struct op_queues *queues, const char *id, const struct error *why);

/* Returns the running operation of `id`, or NULL. */
struct op *op_queue_running(const struct op_queues *queues, const char *id);

/* Aborts a running operation; later calls have no effect. */
void op_abort(struct op *op, const struct error *why);

/* Frees all queues and operations without calling `done`. The jobs of running operations must have
 * ended. */
void op_queues_release(struct op_queues *queues);
