/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two top-level cgroups of the guest: `agent` for init, agent and workers, `pods` for
 * containers. All functions take the fd of the cgroup v2 root directory.
 */
#pragma once

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_AGENT "agent"
#define CGROUP_PODS  "pods"

/* Creates both and enables every available controller for the children of the root and of `pods`.
 * Logs failures and returns their number (a controller counts once for each cgroup in which it
 * cannot be enabled). */
int cgroups_setup(int root_fd);

/* Opens `agent`, to start a process in it. Returns the fd, or -1 and errno. */
int cgroups_open_agent(int root_fd);

/* Moves the calling process into `agent`, and logs a failure. Waits for an RCU grace period (10 ms
 * or more), unlike starting a process there. May block. */
void cgroups_join_agent(int root_fd);
