/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks in the course of a launch. Worker and new process take turns over their socket (launch/handshake.h): when the root file
 * system is filled and not yet entered, the worker runs the hooks of the guest's namespaces, then the process those of
 * its own. Nothing of this is done for a container without such hooks.
 */
#pragma once

#include <stdbool.h>

#include "agent/container/hooks/hooks.h"
#include "agent/container/launch/params.h"

#define HOOK_NAMESPACES 6 /* that a worker may have left */

struct container_init;

struct hook_stage {
	const struct launch *launch;
	int own[HOOK_NAMESPACES]; /* the worker's own namespaces, -1 */
	int cgroup_fd;            /* for hooks that the worker runs, -1 */
	bool begun; /* some have been run: poststop hooks are due if the launch fails */
	bool early; /* there are hooks before the root is changed */
	/* A child of the worker runs those of the container's namespaces: the children of its process are born in a shared
	 * pid namespace. */
	bool beside;
};

/* Before anything else. */
void hook_stage_init(struct hook_stage *stage, const struct launch *l);

/* If there are hooks, what they need: a cgroup, the bundle's config.json and rootfs. To be called before the
 * worker joins namespaces; journals its steps. Worker only: may block. */
int hook_stage_open(struct worker *w, struct hook_stage *stage, struct error *err);

/* The worker's part while the process pid waits at sock. */
int hook_stage_lead(struct worker *w, struct hook_stage *stage, int sock, pid_t pid, int pidfd,
		    struct error *err);

/* The process's part. */
int hook_stage_follow(const struct hook_stage *stage, int sock, struct error *err);

/* After a failed launch, with the process dead: poststop hooks, if any other had been run. */
void hook_stage_fail(struct worker *w, struct hook_stage *stage);

void hook_stage_close(struct hook_stage *stage);

/* In the process, released by the gate: its startContainer hooks. What they print, or why they failed, goes back
 * through the gate. */
int hook_stage_start(const struct hook_stage *stage, int gate, struct error *err);

/* The same in two halves, for a process that has no memory left: the plan is made before (hooks_plan_release()), for the
 * process whose pid, as the hooks see it, is known when they are run. The second half allocates nothing. */
int hook_stage_plan_start(const struct hook_stage *stage, struct hook_plan *plan,
			  struct error *err);
int hook_stage_start_planned(struct hook_plan *plan, pid_t pid, int gate);

/* The name of the cgroup that a container's hooks run in, relative to the root. */
void hook_cgroup_name(const char *id, char *out, size_t size);
