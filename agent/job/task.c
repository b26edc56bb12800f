/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs with one result. See task.h. */
#include "agent/job/task.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum task_msg {
	TASK_MSG_RESULT = 1,
};

struct task {
	const struct task_class *class;
	/* With the class's name. */
	struct job_ops ops;
	/* With the class's size. */
	struct job_message_type messages[TASK_MSG_RESULT + 1];
	void *arg;
	struct job *job;
	struct pending pending;
	task_done_fn *done;
	void *data;
	bool has_result;
	/* Aligned for any type. */
	uint64_t result[TASK_RESULT_MAX / sizeof(uint64_t)];
};

int
task_result(struct worker *w, const void *result, size_t size, struct error *err)
{
	return worker_send(w, TASK_MSG_RESULT, result, size, NULL, 0, false, err);
}

static void
free_arg(const struct task_class *class, void *arg)
{
	if (class->free_arg)
		class->free_arg(arg);
	else
		free(arg);
}

static int
task_take_result(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct task *task = data;

	(void)job;
	(void)err;
	memcpy(task->result, m->payload, m->size);
	task->has_result = true;
	return 0;
}

static void
task_on_done(struct job *job, const struct error *err, void *data)
{
	struct task *task = data;
	struct error why = *err;

	(void)job;
	task->job = NULL;
	if (why.code == ERROR_OK && task->class->result_size > 0 && !task->has_result)
		error_set(&why, ERROR_INTERNAL, "%s: worker exited without reporting a result",
			  task->class->name);
	if (pending_end(&task->pending))
		task->done(&why, why.code == ERROR_OK && task->has_result ? task->result : NULL,
			   task->data);
	free_arg(task->class, task->arg);
	free(task);
}

static int
task_work(struct worker *w, void *arg, struct error *err)
{
	const struct task *task = arg;

	return task->class->work(w, task->arg, err);
}

static void
task_unwanted(struct pending *p)
{
	struct task *task = pending_entry(p, struct task, pending);

	if (!task->class->changes)
		job_cancel(task->job, ERROR_CANCELLED, "the call was cancelled");
}

struct pending *
task_start(struct jobs *jobs, const struct task_class *class, void *arg, const int *keep_fds,
	   size_t n_keep_fds, task_done_fn *done, void *data, struct error *err)
{
	struct task *task = calloc(1, sizeof(*task));
	struct job_spec spec = {
		.ops = task ? &task->ops : NULL,
		.arg = task,
		.data = task,
		.keep_fds = keep_fds,
		.n_keep_fds = n_keep_fds,
		.deadline_ms = class->deadline_ms,
	};

	if (!task) {
		free_arg(class, arg);
		error_nomem(err, class->name);
		return NULL;
	}
	*task = (struct task){
		.class = class,
		.ops = { .name = class->name,
			 .work = task_work,
			 .messages = task->messages,
			 .n_messages = ARRAY_LEN(task->messages),
			 .done = task_on_done },
		.messages = { [TASK_MSG_RESULT] = { .handler = task_take_result,
						    .size = class->result_size } },
		.arg = arg,
		.pending.cancel = task_unwanted,
		.done = done,
		.data = data,
	};
	task->job = job_start(jobs, &spec, err);
	if (task->job)
		return &task->pending;
	free_arg(class, arg);
	free(task);
	return NULL;
}
