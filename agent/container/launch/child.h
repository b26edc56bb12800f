/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's hold on the process it clones for a container: start, register, lead through its set-up, release.
 * Shared by launch.c and exec.c. Worker only: may block. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/container/launch/init_params.h"
#include "agent/job/job.h"

struct child_process {
	pid_t pid; /* 0: none */
	int pidfd, sock;
};

#define CHILD_NONE ((struct child_process){ .pid = 0, .pidfd = -1, .sock = -1 })

/* Clones (CLONE_PARENT: init is its parent) into cgroup_fd (-1: where the worker is) with more flags, and runs the
 * entry in it. 0, or -1 and errno kept in err. */
int child_start(struct worker *w, struct container_init *e, uint64_t flags, int cgroup_fd,
		struct child_process *c, struct error *err);

/* Sets what the entry's process is to have as oom_score_adj, of `pid` or (0) of the caller and what he clones. The
 * agent's own score (-1000) must not be inherited, so a score of 0 is written like any other. */
int child_set_oom_score(pid_t pid, const struct container_init *e, struct error *err);

/* Registers it with the agent, sets its oom score unless it was born with it, forwards its terminal, and waits until
 * it is ready. */
int child_lead(struct worker *w, struct child_process *c, const struct container_init *e,
	       struct error *err);

/* Lets it go, with the seccomp program (NULL: there is none). */
int child_release(struct child_process *c, const struct filter *filter, struct error *err);

/* The same for an entry with a pid_ns: it makes the last process, which is the child from then on, is registered, given
 * its limits, and let go. */
int child_fork_last(struct worker *w, struct child_process *c, const struct container_init *e,
		    const struct filter *filter, struct error *err);

/* Closes our ends; kills it if `kill`. */
void child_end(struct child_process *c, bool kill);

/* Pipes that the container's user is to be able to reopen by name (/dev/stdout) are given to him; if he himself was
 * given by name, child_lead() does it. */
int child_own_stdio(const struct container_init *e, struct error *err);

/* Fills the parts of an entry that depend on a process and the profile alone. */
int child_entry(struct container_init *e, const struct roots *roots, const Grpc__Spec *spec,
		const Grpc__Process *process, struct error *err);

/* Takes the process's capabilities over, once the entry says whether there is a user namespace. With `warn`, those that are
 * left out are logged. */
void child_caps(struct worker *w, struct container_init *e, bool warn);
