/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker's clone is given to become a container's process: see container_init.h. Plain data. */
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
	const char *id;      /* of the container */
	const char *keyring; /* the name of its session keyring */
	struct lsm lsm;
	const Grpc__Process *process; /* whose args, env, cwd, user and terminal count */
	const Grpc__Linux *linux;     /* the container's: id mappings */
	struct user who;              /* whom process.user means: known to the new process only */
	struct cap_sets caps;
	Grpc__POSIXRlimit *const *rlimits;
	size_t n_rlimits;
	bool no_new_privs;
	bool terminal; /* process->terminal, which is not there any more for a last fork */
	bool filtered; /* a seccomp program comes with HANDSHAKE_RUN */
	const struct ns_maps *maps; /* of its user namespace, as far as they are known */
	bool user;    /* in a user namespace of the container: rlimits are the worker's business */
	int sock;     /* to the worker (handshake.h) */
	int stdio[3]; /* -1: /dev/null, or the terminal */
	int report;   /* a pipe for a failed execve (exec_report.h); -1: none */
	int gate;     /* one byte lets it go on to execve; -1: none */
	/* the first process of a container */
	struct rootfs *rootfs; /* NULL: one more process */
	const struct ns_plan *ns;
	struct hook_stage *hooks;
	const char *hostname;
	/* one that enters its pid namespace, where others are, by a last fork (last_fork.h); -1: it was born there */
	int pid_ns;
	bool has_entered; /* it did so for its children, before its user namespace: see ns_plan */
	const struct wipe *wipe; /* what is emptied before that */
	/* one more process, whose oom score the worker has taken */
	const int *join; /* NS_KINDS fds; -1: the worker has entered that one */
};
