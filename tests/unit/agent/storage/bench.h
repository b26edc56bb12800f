/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of storages with real jobs and real mounts, in a forked "agent" with a mount namespace of
 * its own. The driver "gate" mounts a tmpfs once one byte came through the FIFO that is its source:
 * 'o'; it fails before that with 'f', after it with 'u'.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "agent/device/device.h"
#include "agent/job/initlink.h"
#include "agent/job/job.h"
#include "agent/storage/storage.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/support/fakeinit.h"

/* Runs the loop until `what` holds. What the loop does not see is looked at every 5 ms. */
#define UNTIL(b, what)                                                         \
	do {                                                                   \
		struct error err_ = ERROR_INIT;                                \
		uint64_t limit_ = deadline_in(60000);                          \
		while (!(what)) {                                              \
			REQUIRE(!deadline_is_over(limit_));                    \
			REQUIRE_OK(loop_run_once((b)->loop, 5, &err_), &err_); \
		}                                                              \
	} while (0)

struct bench {
	struct loop *loop;
	struct initlink *link;
	struct jobs *jobs;
	struct device_watch *devices;
	struct storages *t;
	struct roots roots;
	char dir[32];
	int fds_before, mounts_before;
	/* by the test itself */
	bool is_released;
};

struct result {
	int ended;
	struct error err;
	struct storage_request *request;
};

void bench_init(struct bench *b, int init_fd);
/* Checks that nothing is left: no storage, no mount, no directory but b->dir's own FIFOs, no fd. */
void bench_release(struct bench *b);

/* b->dir and name; static memory, four at a time. */
char *at(const struct bench *b, const char *name);
/* A storage that bench mounts at b->dir/<name>; strings are kept in static memory as at() does. */
struct storage_spec gate(const struct bench *b, const char *name);
struct storage_spec memory(const struct bench *b, const char *name);
/* Makes the FIFO of gate(name). */
void make_gate(const struct bench *b, const char *name);
/* Lets one mount of gate(name) go on, once it has come that far. */
void open_gate(const struct bench *b, const char *name, char how);

void on_done(const struct error *err, void *data);
void submit(struct bench *b, const char *owner, const struct storage_spec *specs, size_t n,
	    struct result *r);
/* The same for a gate, up to where it waits. */
void begin_gate(struct bench *b, const char *owner, const char *name, struct result *r);
/* The same for a gate, which is opened: it is mounted. */
void mount_gate(struct bench *b, const char *owner, const char *name);
/* Runs the loop until it is done. */
struct error acquire(struct bench *b, const char *owner, const struct storage_spec *specs,
		     size_t n);
struct error release(struct bench *b, const char *owner);

bool exists(const struct bench *b, const char *name);
/* Mounts that there are now and were not when the bench began. */
int mounts_added(const struct bench *b);
/* Mounts that are at b->dir/<name>. */
int mounts_at(const struct bench *b, const char *name);
void put_file(const struct bench *b, const char *name);

/* Runs body in the agent, root only; the test fails if it does, or if a process is left behind. */
void in_agent(fakeinit_body *body);

/* A test whose body runs in the agent, with a bench of its own. */
#define AGENT_TEST(suite, name)                             \
	static void body_##name(struct bench *b);           \
	static int in_agent_##name(int init_fd, void *data) \
	{                                                   \
		struct bench b;                             \
                                                            \
		(void)data;                                 \
		bench_init(&b, init_fd);                    \
		body_##name(&b);                            \
		if (!b.is_released)                         \
			bench_release(&b);                  \
		return 0;                                   \
	}                                                   \
	Test(suite, name)                                   \
	{                                                   \
		in_agent(in_agent_##name);                  \
	}                                                   \
	static void body_##name(struct bench *b)
