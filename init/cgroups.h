/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two cgroups at the top of the guest: `agent` holds init, agent and workers, `pods` everything that
 * belongs to containers. Everything here takes the fd of the cgroup v2 root directory.
 */
#pragma once

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_AGENT "agent"
#define CGROUP_PODS  "pods"

/* Creates both and enables every available controller for the children of the root and of `pods`. What fails is logged. Returns the number of failures (a controller that cannot be
 * enabled counts once per place). */
int cgroups_setup(int root_fd);

/* Opens `agent`, for a process to be started in it. fd or -1 and errno. */
int cgroups_open_agent(int root_fd);

/* Moves the caller into `agent`; failure is logged. Moving waits for an RCU grace period (10 ms and more),
 * starting a process there does not. May block. */
void cgroups_join_agent(int root_fd);
