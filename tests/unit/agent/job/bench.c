/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/job/bench.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/support/check.h"

void
bench_init(struct bench *b, int init_fd)
{
	struct error err = ERROR_INIT;

	memset(b, 0, sizeof(*b));
	b->loop = loop_new(&err);
	REQUIRE(b->loop);
	b->link = initlink_new(b->loop, init_fd, NULL, NULL, &err);
	REQUIRE(b->link);
	b->jobs = jobs_new(b->loop, b->link, NULL, &err);
	REQUIRE(b->jobs);
}

void
bench_release(struct bench *b)
{
	jobs_free(b->jobs);
	initlink_free(b->link);
	loop_free(b->loop);
}

void
run_until(struct bench *b, int ended)
{
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(60000);

	while (b->ended < ended) {
		REQUIRE(!deadline_is_over(limit));
		REQUIRE_OK(loop_run_once(b->loop, 1000, &err), &err);
	}
}

int
on_message(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct bench *b = data;

	(void)job;
	b->n_messages++;
	if (m->size < sizeof(b->text)) {
		memcpy(b->text, m->payload, m->size);
		b->text[m->size] = '\0';
	}
	/* that they are closed is the core's */
	for (size_t i = 0; i < m->n_fds; i++)
		REQUIRE_EQ(write(m->fds[i], "fd", 2), 2);
	if (b->refuse)
		return error_set(err, ERROR_ALREADY_EXISTS, "no %u", m->type);
	return 0;
}

const struct job_message_type bench_messages[BENCH_MESSAGES] = {
	[1] = { .handler = on_message, .size_max = JOB_MESSAGE_MAX },
	[5] = { .handler = on_message, .size = 5, .n_fds_max = 1 },
	[6] = { .handler = on_message, .size = 4 },
};

static void
on_child(int status, bool gone, void *data)
{
	struct bench *b = data;

	REQUIRE(!gone);
	b->child_ended = true;
	b->child_status = status;
}

int
on_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err)
{
	struct bench *b = data;

	(void)job;
	close_fd(&pidfd);
	b->pid = pid;
	return initlink_watch(b->link, pid, on_child, b, err) ? 0 : -1;
}

void
on_done(struct job *job, const struct error *err, void *data)
{
	struct bench *b = data;

	(void)job;
	b->ended++;
	b->last = *err;
}

struct job *
start(struct bench *b, const struct job_ops *ops, void *arg, uint64_t deadline_ms,
      unsigned int flags)
{
	struct error err = ERROR_INIT;
	struct job_spec spec = {
		.ops = ops, .arg = arg, .data = b, .deadline_ms = deadline_ms, .flags = flags
	};
	struct job *job = job_start(b->jobs, &spec, &err);

	if (!job)
		fprintf(stderr, "job_start: %s\n", err.msg);
	REQUIRE(job);
	return job;
}

void
in_agent(fakeinit_body *body)
{
	int leaked = -1;

	REQUIRE_EQ(fakeinit_run(body, NULL, &leaked), 0);
	REQUIRE_EQ(leaked, 0, "%d processes left behind", leaked);
}
