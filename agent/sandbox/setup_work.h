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
	SETUP_MSG_NAMES = 3,      /* payload: uint32_t, see setup_names_unbind() */
};

/* The argument of all of them. */
struct setup_work {
	const struct sandbox_request *request; /* not for setup_work_last */
	const struct roots *roots;
	uint32_t names_bound; /* setup_work_last only */
};

/* An empty run directory, the kernel modules, the namespaces. */
int setup_work_first(struct worker *w, void *arg, struct error *err);

/* resolv.conf, hostname and hosts, bound over those that the guest has: its root may be read-only. */
int setup_work_names(struct worker *w, void *arg, struct error *err);
/* Is there anything for it to do? */
bool setup_names_wanted(const struct sandbox_request *request);
/* Takes those away again whose bits are set. */
void setup_names_unbind(struct worker *w, uint32_t bound);

/* Takes resolv.conf and the run directory's content away. */
int setup_work_last(struct worker *w, void *arg, struct error *err);
