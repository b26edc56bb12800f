/* SPDX-License-Identifier: Apache-2.0 */
/* The worker side of a container: creates its cgroup, namespaces, root file system and first
 * process, adds processes, and removes it. Called from jobs of agent/sandbox. All functions run in
 * a worker and may block. The loop side (state, stdio, waiting) is container.h and process.h.
 */
#pragma once

#include "agent/container/launch/params.h"
#include "lib/error.h"

struct worker;

/* Creates a container whose first process waits at the gate. The roots, stdio fds, gate and
 * namespaces must be in the job's keep_fds, all at 3 or above. The steps are: cgroup; bundle
 * directory; opening all sources in the guest as detached clones; clone (CLONE_PARENT,
 * CLONE_INTO_CGROUP); worker_process(), while the child sets itself up; id maps; sending of the
 * terminal; child ready; sending of the namespaces; release of the child to the gate. Persistent
 * changes are journalled before they are made; nothing is mounted in the guest except for hooks.
 * Returns 0, or -1 and err. The worker has joined namespaces and must not be used afterwards. */
int container_launch(struct worker *w, const struct launch *l, struct error *err);

/* Adds a process to a running container. Returns 0 after the process was released to execve, or
 * -1 and err, also if the binary is missing. */
int container_exec(struct worker *w, const struct launch_exec *e, struct error *err);

/* Removes a container: kills all processes in its cgroup, waits until it is empty, removes the
 * cgroup, runs the poststop hooks, detaches the mounts in the bundle and removes the bundle
 * directory. Missing parts are ignored. Processes that hang in the kernel are left behind
 * (hung.h). Returns 0, or -1 and err. */
int container_teardown(struct worker *w, const struct teardown *t, struct error *err);

/* Starts a container with startContainer or poststart hooks: opens the gate, waits until the
 * program is executed, and runs the poststart hooks. Returns 0, or -1 and err, in which case the
 * caller kills the container. */
int container_start_with_hooks(struct worker *w, const struct launch_start *s, struct error *err);

/* Runs the poststop hooks after all processes of the container have ended. Called by
 * container_teardown(). Returns 0, or -1 and err. */
int container_poststop(struct worker *w, const struct teardown *t, struct error *err);
