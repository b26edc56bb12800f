/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that change a container, one queue per container id: each runs when all that arrived
 * before it have ended; queues of different ids know nothing of each other. Loop side: never blocks.
 * Knows neither containers nor calls.
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

/* All queues. Plain data; a queue exists while it has operations. */
struct op_queues {
	struct list queues;
};

/* What an operation's run says. */
enum op_outcome {
	OP_FAILED = -1, /* err is set */
	OP_DONE = 0,
	OP_PENDING = 1, /* op_finish() follows, never from inside run */
};

/* err->code is ERROR_OK or what failed. The operation is gone when this returns. */
typedef void op_done_fn(const struct error *err, void *data);

struct op_class {
	/* For logs and messages: "create container". */
	const char *name;
	enum op_outcome (*run)(struct op *op, struct error *err);
	/* Ends a running operation early with this error; op_finish() follows, perhaps from inside. NULL: it cannot be
	 * ended early. */
	void (*abort)(struct op *op, const struct error *why);
	/* Frees the operation, which is in no queue and does not run. */
	void (*free)(struct op *op);
	/* op_queue_abort_waiting() leaves it in its queue. */
	bool stays;
	/* Runs when it is its turn, and to completion, also when nobody waits for it. Others are dropped or aborted. */
	bool goes_on;
};

/* The head of every kind of operation. op_submit() sets what is not `class`. */
struct op {
	const struct op_class *class;
	struct list node;
	struct op_queue *queue;
	struct pending pending;
	op_done_fn *done;
	void *data;
	bool running;
	bool aborted;
	struct log_context *log; /* of the call that asks for it, while it waits */
};

void op_queues_init(struct op_queues *queues);

/* Puts op at the end of the queue of `id` and, if it is alone there, runs it. Takes op over in every case. OP_PENDING: the
 * wait for it is op->pending. Otherwise the operation has ended (or could not be queued), is freed, and done is never
 * called. */
enum op_outcome op_submit(struct op_queues *queues, const char *id, struct op *op, op_done_fn *done,
			  void *data, struct error *err);

/* A pending operation has ended: done, free, next. err may be NULL for success. */
void op_finish(struct op *op, const struct error *err);

/* Calls done now, with this error, for an operation that goes on. */
void op_answer(struct op *op, const struct error *err);

/* Aborts every waiting operation of `id` with this error, but those that stay; what runs goes on. */
void op_queue_abort_waiting(struct op_queues *queues, const char *id, const struct error *why);

/* The running operation of `id`, or NULL. */
struct op *op_queue_running(const struct op_queues *queues, const char *id);

/* Aborts a running operation, once. */
void op_abort(struct op *op, const struct error *why);

/* Frees everything without calling anybody; the running ones' jobs must have ended. */
void op_queues_release(struct op_queues *queues);
