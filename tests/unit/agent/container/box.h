/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A place to run real containers in, for tests: a forked "agent" under a stand-in init, in a mount
 * namespace of its own, with the real jobs and workers, and a root file system with a static
 * busybox.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "agent/container/launch/params.h"
#include "agent/container/seccomp/filter.h"
#include "agent/job/initlink.h"
#include "agent/job/job.h"
#include "tests/support/check.h"

/* The busybox root in the box, on a tmpfs. The test may use all of /box. */
#define BOX_ROOT "/box/root"

#define BOX_OUTPUT_MAX 65536

struct box;

/* A process as seen by the agent. */
struct box_process {
	pid_t pid;
	bool ended;
	/* exit code, 128+signal */
	int status;
	/* master, -1 without terminal */
	int pty;
	/* stdout and stderr, or the terminal */
	char output[BOX_OUTPUT_MAX];
	size_t n_output;
	/* private */
	int pidfd, out, gate;
	struct box *box;
};

struct box_container {
	const Grpc__Spec *spec;
	char cgroup_path[256], bundle[128], id[64];
	/* n is 0 without one */
	struct filter filter;
	int ns[NS_KINDS];
	struct box_process init;
};

struct box {
	struct loop *loop;
	struct initlink *link;
	struct jobs *jobs;
	struct roots roots;
	int sandbox_ns[NS_KINDS], pidns_owner;
	/* the agent cannot watch it */
	bool refuses_cgroup;
	/* The result of the last job. */
	bool done;
	struct error error;
	/* The next container's new pid namespace is wanted. */
	bool sends_pid_ns;
};

typedef void box_body(struct box *b);

/* Runs body in the box: fails the test if it fails, or leaves processes, mounts, cgroups or fds
 * behind. */
void in_box(box_body *body);

/* Launches up to the gate: 0, or -1 with b->error. */
int box_launch(struct box *b, struct box_container *c, const char *id, const Grpc__Spec *spec);

/* Opens the gate. */
void box_start(struct box_container *c);

/* Runs the loop until the process has ended and its output is complete. Returns its status. */
int box_wait(struct box *b, struct box_process *p);

/* Runs the loop until the output contains text (or fails). */
void box_expect(struct box *b, struct box_process *p, const char *text);

/* Starts an exec. Returns 0, or -1 with b->error. */
int box_exec(struct box *b, struct box_container *c, const Grpc__Process *process,
	     struct box_process *p);

/* Removes the container; fails the test if that fails. */
void box_remove(struct box *b, struct box_container *c);

/* Attempts to remove the container. Processes that hang are left behind, with their cgroup in
 * *hung. Returns 0, or -1 with b->error. */
int box_try_remove(struct box *b, struct box_container *c, struct hung_cgroups *hung);

/* Launch, start, wait, remove: the exit status; output in c->init. Fails if the launch does. */
int box_run(struct box *b, struct box_container *c, const Grpc__Spec *spec);

/* Runs the spec with `sh -c script`, which must succeed with this output. */
void box_sh(struct box *b, const Grpc__Spec *spec, const char *script, const char *output);

/* Launch that must fail with this code and text in its message; nothing may be left. */
void box_refuse(struct box *b, const Grpc__Spec *spec, enum error_code code, const char *text);

/* Runs a function of the test in a worker with all roots. */
int box_work(struct box *b, job_work_fn *work, void *arg);

/* Files in the box: written, read (static buffer), does it exist (also as a dangling link)? */
void box_write(const char *path, const char *text);
const char *box_read(const char *path);
bool box_exists(const char *path);
