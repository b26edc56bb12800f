/* SPDX-License-Identifier: Apache-2.0 */
/* What CreateSandbox and DestroySandbox do in workers. Worker only: may block. */
#pragma once

#include "agent/job/job.h"
#include "agent/roots.h"
#include "agent/sandbox/sandbox.h"

/* hostname(7): what sethostname(2) takes. */
#define SANDBOX_HOSTNAME_MAX 64

enum setup_msg {
	SETUP_MSG_NAMESPACES = 1, /* fds: ipc, uts */
	SETUP_MSG_HOOKS = 2,      /* payload: packed Grpc__Hooks, the guest's */
	SETUP_MSG_NAMES =
		3, /* payload: ids of mounts; fds: their mount points. See struct setup_names */
};

/* Files of ours that lie over the guest's: mounts and where they were put. */
#define SETUP_NAMES_MAX 4
struct setup_names {
	size_t n;
	int point[SETUP_NAMES_MAX]; /* O_PATH, opened before the mount; owned */
	int32_t id[SETUP_NAMES_MAX];
};

/* The argument of all of them. */
struct setup_work {
	const struct sandbox_request *request; /* not for setup_work_last */
	const struct roots *roots;
	struct setup_names names; /* setup_work_last only; not owned */
};

/* An empty run directory, the kernel modules, the namespaces. */
int setup_work_first(struct worker *w, const struct setup_work *work, struct error *err);

/* resolv.conf, hostname and hosts, bound over those that the guest has: its root may be read-only. */
int setup_work_names(struct worker *w, const struct setup_work *work, struct error *err);
/* Is there anything for it to do? */
bool setup_names_wanted(const struct sandbox_request *request);
/* Unmounts those files again. */
void setup_names_unbind(struct worker *w, const struct setup_names *names);
void setup_names_close(struct setup_names *names);

/* Takes resolv.conf and the run directory's content away. */
int setup_work_last(struct worker *w, const struct setup_work *work, struct error *err);
