/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox with real jobs and processes but a fake worker side (fakelaunch.h), in a forked
 * "agent". */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "agent/job/initlink.h"
#include "agent/job/job.h"
#include "agent/sandbox/sandbox.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/support/fakeinit.h"
#include "tests/unit/agent/sandbox/fakelaunch.h"

struct bench {
	struct loop *loop;
	struct initlink *link;
	struct jobs *jobs;
	struct splice_worker *splice_worker;
	struct storages *storages;
	struct sandbox *s;
	struct roots roots;
	char dir[32];
	int fds_before;
};

/* An operation that the test has submitted. */
struct result {
	int ended;
	struct error err;
	enum op_outcome outcome;
	struct pending *pending;
	/* The messages that the request points to. */
	Grpc__Spec spec;
	Grpc__Process process;
	char *args[1];
};

/* Runs the loop until `what` holds. */
#define UNTIL(b, what)                                                           \
	do {                                                                     \
		struct error err_ = ERROR_INIT;                                  \
		uint64_t limit_ = deadline_in(60000);                            \
		while (!(what)) {                                                \
			REQUIRE(!deadline_is_over(limit_));                      \
			REQUIRE_OK(loop_run_once((b)->loop, 100, &err_), &err_); \
		}                                                                \
	} while (0)

struct waiter {
	/* Must be first. */
	struct process_waiter waiter;
	int ended, status;
	struct error err;
};

/* Sets up a bench. bench_release() fails the test if anything is left behind. */
void bench_init(struct bench *b, int init_fd);
void bench_release(struct bench *b);
/* The op_done_fn of a struct result. */
void on_done(const struct error *err, void *data);

void finish(struct bench *b, struct result *r);
/* Each submit_* function fills in *r; an operation that has ended already has the outcome OP_DONE
 * or OP_FAILED. */
void submit_sandbox(struct bench *b, const char *hostname, struct result *r);
/* The other functions run the loop until the operation has ended. */
void make_sandbox(struct bench *b);
void submit_create(struct bench *b, const char *id, const char *how, struct result *r);
enum error_code create(struct bench *b, const char *id, const char *how);
void submit_start(struct bench *b, const char *id, struct result *r);
enum error_code start(struct bench *b, const char *id);
void submit_exec(struct bench *b, const char *id, const char *exec_id, const char *how,
		 struct result *r);
void submit_remove(struct bench *b, const char *id, uint32_t timeout, struct result *r);
enum error_code removed(struct bench *b, const char *id);
/* The `done` of a struct waiter. */
void waited(struct process_waiter *w, int status, const struct error *err);
/* Waits for a process. Returns its exit code. */
int wait_for(struct bench *b, const char *id, const char *exec_id);
/* Runs `body` in the forked agent. The test fails if that fails or leaves a process behind. */
void in_agent(fakeinit_body *body);
