/* SPDX-License-Identifier: Apache-2.0 */
/* The parameters of container_init_run() (container_init.h). Plain data. */
#pragma once

#include <stdbool.h>

#include "agent/container/launch/caps.h"
#include "agent/container/launch/lsm.h"
#include "agent/container/launch/user.h"
#include "agent/container/ns/namespaces.h"
#include "agent/container/rootfs/rootfs.h"
#include "agent/container/seccomp/filter.h"
#include "oci.pb-c.h"

struct hook_stage;
struct wipe;

struct container_init {
	const struct roots *roots;
	/* The container's id. */
	const char *id;
	/* The name of the session keyring. */
	const char *keyring;
	struct lsm lsm;
	/* Its args, env, cwd, user and terminal are used. */
	const Grpc__Process *process;
	/* The container's, for id mappings. */
	const Grpc__Linux *linux;
	/* The resolved process.user, known to the new process only. */
	struct user who;
	struct cap_sets caps;
	Grpc__POSIXRlimit *const *rlimits;
	size_t n_rlimits;
	bool no_new_privs;
	/* A copy of process->terminal, which a last fork can no longer read. */
	bool terminal;
	/* HANDSHAKE_RUN carries a seccomp program. */
	bool filtered;
	/* The maps of the user namespace; NULL: not known. */
	const struct ns_maps *maps;
	/* The process is in a user namespace of the container, so the worker sets its rlimits. */
	bool user;
	/* The socket to the worker (handshake.h). */
	int sock;
	/* -1: /dev/null, or the terminal. */
	int stdio[3];
	/* The pipe for the report of a failed execve (exec_report.h); -1: none. */
	int report;
	/* The gate: one byte releases the process to execve; -1: none. */
	int gate;
	/* The following are for the first process of a container. */
	/* NULL: the process is an exec. */
	struct rootfs *rootfs;
	const struct ns_plan *ns;
	struct hook_stage *hooks;
	const char *hostname;
	/* The shared pid namespace that a last fork enters (last_fork.h); -1: the process was
	 * cloned in its pid namespace. */
	int pid_ns;
	/* The set-up process selects pid_ns for its children before it joins its user namespace
	 * (ns_plan.late). */
	bool has_entered;
	/* The memory to be cleared before the last fork. */
	const struct wipe *wipe;
	/* The following is for an exec, which inherits its oom score from the worker. */
	/* NS_KINDS fds; -1: the worker has joined that namespace. */
	const int *join;
};
