/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of operations, one per container id. Used by the sandbox only.
 *
 *   submitted -> waiting -> running -> ended
 *                    \ aborted, or no longer wanted -> ended
 *
 * Must never look into an operation: it is run, aborted and freed through its class.
 */
#include "agent/sandbox/queue.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

struct op_queue {
	struct list node;
	struct op_queues *queues;
	/* The running operation comes first. */
	struct list ops;
	/* queue_advance() runs further up the stack. */
	bool advancing;
	char id[];
};

static struct op_queue *queue_new(struct op_queues *queues, const char *id);
static void op_cancel_wait(struct pending *p);
static void queue_advance(struct op_queue *queue);

static struct op *
op_of(struct list *node)
{
	return list_entry(node, struct op, node);
}

static struct op_queue *
queue_find(const struct op_queues *queues, const char *id)
{
	struct list *pos;

	list_for_each (pos, &queues->queues) {
		struct op_queue *queue = list_entry(pos, struct op_queue, node);

		if (strcmp(queue->id, id) == 0)
			return queue;
	}
	return NULL;
}

static void
op_free(struct op *op)
{
	log_context_free(op->log);
	op->class->free(op);
}

/* Removes op from its queue, frees it, and calls `done` if the caller still waits. */
static void
op_end(struct op *op, const struct error *err)
{
	op_done_fn *done = pending_end(&op->pending) ? op->done : NULL;
	void *data = op->data;
	/* `err` may belong to the operation. */
	struct error copy = *err;

	list_remove(&op->node);
	op_free(op);
	if (done)
		done(&copy, data);
}

void
op_queues_init(struct op_queues *queues)
{
	list_init(&queues->queues);
}

enum op_outcome
op_submit(struct op_queues *queues, const char *id, struct op *op, op_done_fn *done, void *data,
	  struct error *err)
{
	struct op_queue *queue = queue_find(queues, id);
	enum op_outcome outcome;

	list_init(&op->node);
	op->log = NULL;
	if (!queue)
		queue = queue_new(queues, id);
	if (!queue) {
		error_nomem_for(err, op->class->name);
		op_free(op);
		return OP_FAILED;
	}
	op->queue = queue;
	op->done = done;
	op->data = data;
	op->running = list_is_empty(&queue->ops) && !queue->advancing;
	op->aborted = false;
	op->pending.cancel = op_cancel_wait;
	list_append(&queue->ops, &op->node);
	if (!op->running) {
		op->log = log_context_copy();
		return OP_PENDING;
	}
	queue->advancing = true;
	outcome = op->class->run(op, err);
	queue->advancing = false;
	if (outcome == OP_PENDING)
		return outcome;
	list_remove(&op->node);
	op_free(op);
	queue_advance(queue);
	return outcome;
}

static struct op_queue *
queue_new(struct op_queues *queues, const char *id)
{
	size_t size = strlen(id) + 1;
	struct op_queue *queue = calloc(1, sizeof(*queue) + size);

	if (!queue)
		return NULL;
	queue->queues = queues;
	list_init(&queue->ops);
	memcpy(queue->id, id, size);
	list_append(&queues->queues, &queue->node);
	return queue;
}

/* The `cancel` of an operation's pending. */
static void
op_cancel_wait(struct pending *p)
{
	struct op *op = pending_entry(p, struct op, pending);
	struct error why = ERROR_INIT;

	if (op->class->goes_on)
		return;
	if (!op->running) {
		/* A waiting operation is not the only one, so the queue is still in use. */
		list_remove(&op->node);
		op_free(op);
		return;
	}
	error_set(&why, ERROR_CANCELLED, "%s: cancelled by the caller", op->class->name);
	op_abort(op, &why);
}

static void
queue_free(struct op_queue *queue)
{
	list_remove(&queue->node);
	free(queue);
}

/* Runs operations from the head until one stays pending; frees an empty queue. */
static void
queue_advance(struct op_queue *queue)
{
	if (queue->advancing)
		return;
	queue->advancing = true;
	while (!list_is_empty(&queue->ops)) {
		struct op *op = op_of(queue->ops.next);
		enum op_outcome outcome;
		struct error err = ERROR_INIT;
		const struct log_context *former;

		if (op->running)
			break;
		op->running = true;
		former = log_context_set(op->log);
		outcome = op->class->run(op, &err);
		(void)log_context_set(former);
		if (outcome == OP_PENDING)
			break;
		if (outcome == OP_DONE)
			err = ERROR_INIT;
		op_end(op, &err);
	}
	queue->advancing = false;
	if (list_is_empty(&queue->ops))
		queue_free(queue);
}

void
op_finish(struct op *op, const struct error *err)
{
	struct op_queue *queue = op->queue;
	struct error none = ERROR_INIT;
	bool advancing = queue->advancing;

	/* Keeps the queue alive while done() may cancel other operations in it. */
	queue->advancing = true;
	op_end(op, err ? err : &none);
	queue->advancing = advancing;
	queue_advance(queue);
}

void
op_abort(struct op *op, const struct error *why)
{
	if (!op->running || op->aborted || !op->class->abort)
		return;
	op->aborted = true;
	op->class->abort(op, why);
}

void
op_answer(struct op *op, const struct error *err)
{
	if (pending_end(&op->pending))
		op->done(err, op->data);
}

void
op_queue_abort_waiting(struct op_queues *queues, const char *id, const struct error *why)
{
	struct op_queue *queue = queue_find(queues, id);
	struct list waiting;
	struct list *pos, *next;
	bool advancing;

	if (!queue)
		return;
	list_init(&waiting);
	list_for_each_safe (pos, next, &queue->ops) {
		if (op_of(pos)->running || op_of(pos)->class->stays)
			continue;
		list_remove(pos);
		list_append(&waiting, pos);
	}
	advancing = queue->advancing;
	queue->advancing = true;
	while (!list_is_empty(&waiting))
		op_end(op_of(waiting.next), why);
	queue->advancing = advancing;
	queue_advance(queue);
}

struct op *
op_queue_running(const struct op_queues *queues, const char *id)
{
	struct op_queue *queue = queue_find(queues, id);

	if (!queue || list_is_empty(&queue->ops))
		return NULL;
	return op_of(queue->ops.next)->running ? op_of(queue->ops.next) : NULL;
}

void
op_queues_release(struct op_queues *queues)
{
	while (!list_is_empty(&queues->queues)) {
		struct op_queue *queue = list_entry(queues->queues.next, struct op_queue, node);

		while (!list_is_empty(&queue->ops)) {
			struct op *op = op_of(queue->ops.next);

			list_remove(&op->node);
			op_free(op);
		}
		queue_free(queue);
	}
}
