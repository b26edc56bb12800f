/* SPDX-License-Identifier: Apache-2.0 */
/* The work of CreateSandbox and DestroySandbox. Worker only: may block. Functions return 0, or -1
 * and err. */
#pragma once

#include "agent/job/job.h"
#include "agent/roots.h"
#include "agent/sandbox/sandbox.h"

/* The limit of sethostname(2), see hostname(7). */
#define SANDBOX_HOSTNAME_MAX 64

enum setup_msg {
	/* fds: ipc, uts */
	SETUP_MSG_NAMESPACES = 1,
	/* payload: packed Grpc__Hooks of the guest's image */
	SETUP_MSG_HOOKS = 2,
	/* payload: mount ids; fds: their mount points, as in struct setup_names */
	SETUP_MSG_NAMES = 3,
};

/* The agent's files that are mounted over the guest's. */
#define SETUP_NAMES_MAX 4
struct setup_names {
	size_t n;
	/* O_PATH fds of the mount points, opened before the mount; owned. */
	int point[SETUP_NAMES_MAX];
	int32_t id[SETUP_NAMES_MAX];
};

/* The argument of all functions. */
struct setup_work {
	/* Not used by setup_work_last(). */
	const struct sandbox_request *request;
	const struct roots *roots;
	/* Used by setup_work_last() only; not owned. */
	struct setup_names names;
};

/* Empties the run directory, loads the kernel modules, finds the guest's hooks and makes the
 * namespaces. */
int setup_work_first(struct worker *w, const struct setup_work *work, struct error *err);

/* Bind-mounts resolv.conf, hostname and hosts over the guest's files, since the root may be
 * read-only. */
int setup_work_names(struct worker *w, const struct setup_work *work, struct error *err);
/* Returns whether setup_work_names() has anything to do. */
bool setup_names_wanted(const struct sandbox_request *request);
/* Unmounts those files. Failures are logged. */
void setup_names_unbind(struct worker *w, const struct setup_names *names);
void setup_names_close(struct setup_names *names);

/* Unmounts those files and removes the run directory's content. */
int setup_work_last(struct worker *w, const struct setup_work *work, struct error *err);
