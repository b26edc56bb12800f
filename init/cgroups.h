/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two cgroups at the top of the guest: `agent` holds init, agent and workers, `pods` everything that
 * belongs to containers. Everything here takes the fd of the cgroup v2 root directory.
 */
#pragma once

#include <stdint.h>

#include "lib/error.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CGROUP_AGENT "agent"
#define CGROUP_PODS  "pods"

/* Creates both, enables every available controller for the children of the root and of `pods`, and limits
 * memory and tasks of `pods`. What fails is logged. Returns the number of failures (a controller that cannot be
 * enabled counts once per place). */
int cgroups_setup(int root_fd);

/* Opens `agent`, for a process to be started in it. fd or -1 and errno. */
int cgroups_open_agent(int root_fd);

/* Moves the caller into `agent`; failure is logged. Moving waits for an RCU grace period (10 ms and more),
 * starting a process there does not. May block. */
void cgroups_join_agent(int root_fd);

/* Bytes that all pods together may use: total (MemTotal) less what the unpacked root file system holds and a
 * reserve for kernel, init and agent of total/16, at least 16 MiB and at most 128 MiB. At least total/2. */
uint64_t cgroups_pods_limit(uint64_t total, uint64_t root_used);

/* Tasks (processes and threads) that all pods together may have, of as many as the kernel lets there be: an eighth less, at least 256
 * and at most 1024 less, so that a worker can be started whatever runs there. At least total/2. */
uint64_t cgroups_pods_tasks(uint64_t total);

/* Writes pods/memory.max from what the kernel says now: call it again whenever memory came online. 0 or -1. */
int cgroups_limit_pods(int root_fd, struct error *err);
