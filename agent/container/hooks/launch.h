/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks during a launch. The worker and the new process take turns over their socket
 * (launch/handshake.h): after the root file system is filled and before it is entered, the worker
 * runs the hooks of the guest's namespaces, then the process runs those of its own. A container
 * without such hooks skips these steps.
 */
#pragma once

#include <stdbool.h>

#include "agent/container/hooks/hooks.h"
#include "agent/container/launch/params.h"

/* Number of namespaces that a worker may have left. */
#define HOOK_NAMESPACES 6

struct container_init;

struct hook_stage {
	const struct launch *launch;
	/* The worker's original namespaces, or -1. */
	int own[HOOK_NAMESPACES];
	/* The cgroup of hooks that the worker runs, or -1. */
	int cgroup_fd;
	/* Hooks have run: if the launch fails, the poststop hooks follow. */
	bool begun;
	/* There are hooks to run before the root is changed. */
	bool early;
	/* A child of the worker runs the createContainer hooks, because children of the
	 * container's process would be born in a shared pid namespace. */
	bool in_worker;
};

/* Initialises `stage`, which refers to `l`. Pure. */
void hook_stage_init(struct hook_stage *stage, const struct launch *l);

/* Makes the cgroup, the bundle's config.json and rootfs if there are hooks. Called before the
 * worker joins namespaces. Journals its steps. Returns 0, or -1 and err. Worker only: may block. */
int hook_stage_open(struct worker *w, struct hook_stage *stage, struct error *err);

/* Runs the worker's hooks while the process `pid` waits at `sock`. Returns 0, or -1 and err. May
 * block. */
int hook_stage_lead(struct worker *w, struct hook_stage *stage, int sock, pid_t pid, int pidfd,
		    struct error *err);

/* Runs the process's hooks, after the worker's. Called by the new process. Returns 0, or -1 and
 * err. May block. */
int hook_stage_follow(const struct hook_stage *stage, int sock, struct error *err);

/* Runs the poststop hooks after a failed launch whose process is dead, if other hooks have run.
 * May block. */
void hook_stage_fail(struct worker *w, struct hook_stage *stage);

/* Closes the stage's descriptors. */
void hook_stage_close(struct hook_stage *stage);

/* Runs the startContainer hooks after the gate has opened. Sends their output, or the error,
 * back through the gate. Called by the container's process. Returns 0, or -1 and err. May block. */
int hook_stage_start(const struct hook_stage *stage, int gate, struct error *err);

/* The same in two halves, for a process that cannot allocate memory when the hooks run. The plan
 * is made before, and the caller releases it with hooks_plan_release(); the pid, as the hooks
 * see it, is given when they run. The second half allocates nothing. */
int hook_stage_plan_start(const struct hook_stage *stage, struct hook_plan *plan,
			  struct error *err);
int hook_stage_start_planned(struct hook_plan *plan, pid_t pid, int gate);

/* Writes the name of the hooks' cgroup of container `id`, relative to the cgroup root. */
void hook_cgroup_name(const char *id, char *out, size_t size);
