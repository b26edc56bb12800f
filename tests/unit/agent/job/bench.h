/* SPDX-License-Identifier: Apache-2.0 */
/* An agent with nothing but a loop, a link to a fake init, and workers. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "agent/job/initlink.h"
#include "agent/job/job.h"
#include "tests/support/check.h"
#include "tests/support/fakeinit.h"

struct bench {
	struct loop *loop;
	struct initlink *link;
	struct jobs *jobs;
	int ended;
	struct error last;
	int n_messages;
	char text[64];
	pid_t pid;
	int child_status;
	bool child_ended;
	struct job *job;
	bool refuse;
};

void bench_init(struct bench *b, int init_fd);
void bench_release(struct bench *b);
void run_until(struct bench *b, int ended);
int on_message(struct job *job, const struct job_message *m, void *data, struct error *err);
int on_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err);
void on_done(struct job *job, const struct error *err, void *data);
struct job *start(struct bench *b, const struct job_ops *ops, void *arg, uint64_t deadline_ms,
		  unsigned int flags);
void in_agent(fakeinit_body *body);

/* 1: anything. 5: five bytes, perhaps an fd. 6: four bytes. All to on_message(). */
#define BENCH_MESSAGES 7
extern const struct job_message_type bench_messages[BENCH_MESSAGES];

#define OPS(work_fn)                                  \
	({                                            \
		static const struct job_ops ops_ = {  \
			.name = #work_fn,             \
			.work = (work_fn),            \
			.messages = bench_messages,   \
			.n_messages = BENCH_MESSAGES, \
			.process = on_process,        \
			.done = on_done,              \
		};                                    \
		&ops_;                                \
	})
