/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's control of the process that it clones for a container: start, registration,
 * set-up, release. Used by launch.c and exec.c. Worker only: may block. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/container/launch/init_params.h"
#include "agent/job/worker.h"

struct child_process {
	/* 0: none. */
	pid_t pid;
	int pidfd, sock;
};

#define CHILD_NONE ((struct child_process){ .pid = 0, .pidfd = -1, .sock = -1 })

/* Clones a process with additional `flags` into cgroup_fd (-1: the worker's cgroup), runs the entry
 * in it, and registers it with the agent unless it makes a last fork. Its parent is init
 * (CLONE_PARENT). Returns 0, or -1 and err with the errno. */
int child_start(struct worker *w, struct container_init *e, uint64_t flags, int cgroup_fd,
		struct child_process *c, struct error *err);

/* Sets oom_score_adj of `pid`, or (0) of the caller and the processes it clones. A score of 0 is
 * written as well, because the agent's own score (-1000) must not be inherited. Returns 0, or -1
 * and err. */
int child_set_oom_score(pid_t pid, const struct container_init *e, struct error *err);

/* Leads the process through its set-up: sets its oom score unless it was inherited, forwards its
 * terminal, runs hooks, and waits until it is ready. The process is released with the seccomp
 * program (NULL: none) before it is ready: it goes on to its gate, or to its last fork, without
 * waiting for the worker, which has nothing to do before that. Returns 0, or -1 and err. */
int child_lead(struct worker *w, struct child_process *c, const struct container_init *e,
	       const struct filter *filter, struct error *err);

/* Receives the last process of an entry with a pid_ns. It replaces the child in *c; it is
 * registered, given its limits and released. Returns 0, or -1 and err. */
int child_fork_last(struct worker *w, struct child_process *c, const struct container_init *e,
		    struct error *err);

/* Closes the descriptors, after killing the process if `kill`. */
void child_end(struct child_process *c, bool kill);

/* Changes the owner of the stdio pipes to the container's user, who can then reopen them by name
 * (/dev/stdout). For a user given by name, child_lead() does this. Returns 0, or -1 and err. */
int child_own_stdio(const struct container_init *e, struct error *err);

/* Initialises an entry from the process and the spec. Returns 0, or -1 and err. */
int child_entry(struct container_init *e, const struct roots *roots, const Grpc__Spec *spec,
		const Grpc__Process *process, struct error *err);

/* Sets the entry's capabilities from the process; e->user must be set. With `warn`, ignored
 * capabilities are logged. */
void child_caps(struct worker *w, struct container_init *e, bool warn);
