/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker side of a container: makes its cgroup, namespaces, root file system and first process, or starts one more process
 * in it; takes it down. Called from jobs of agent/sandbox. Everything here may block and runs in a worker only. The
 * agent side (states, stdio, waiting) is container.h and process.h.
 */
#pragma once

#include "agent/container/launch/params.h"
#include "lib/error.h"

struct worker;

/* The roots, stdio fds, gate and namespaces must be in the job's keep_fds, none below 3. Order of what happens: cgroup,
 * bundle directory, everything of the guest opened as detached clones, clone (CLONE_PARENT, CLONE_INTO_CGROUP), id
 * maps; worker_process() while the child sets itself up; terminal sent, child ready, namespaces sent, child released
 * to the gate: then 0. What is left by it is journalled before. Nothing is mounted in the guest. The worker has
 * joined namespaces afterwards: this is its last work. Worker only: may block. */
int container_launch(struct worker *w, const struct launch *l, struct error *err);

/* Returns once the process is released to execve (a missing binary is an error here). Worker only: may block. */
int container_exec(struct worker *w, const struct launch_exec *e, struct error *err);

/* Takes a container down: kill everything in its cgroup, wait until it is empty, remove the cgroup, detach the
 * mounts in the bundle, remove the bundle directory. Missing things are success. Worker only: may block. */
int container_teardown(struct worker *w, const struct teardown *t, struct error *err);

/* Start of a container that has startContainer or poststart hooks: opens the gate, waits until the program runs, runs
 * the hooks around that. If it fails the container is to be killed. Worker only: may block. */
int container_start_with_hooks(struct worker *w, const struct launch_start *s, struct error *err);

/* The last hooks; nothing of the container runs any more. For container_teardown(). */
int container_poststop(struct worker *w, const struct teardown *t, struct error *err);
