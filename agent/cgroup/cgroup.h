/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups (cgroup v2 only) by path below a root descriptor: make, find, kill, remove. Paths
 * are relative ("pods/a/b") and cannot leave the root. Writes to cgroupfs may wait for locks of the
 * kernel: worker side, unless noted otherwise. Source: Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/job/worker.h"
#include "lib/error.h"

/* Longest relative path that is accepted. */
#define CGROUP_PATH_MAX 2048

/* Opens a cgroup's directory (O_RDONLY). Returns a descriptor, or -1 and errno. */
int cgroup_open(int root_fd, const char *path);

/* Returns whether the cgroup exists and has processes in it or below. */
bool cgroup_is_populated(int root_fd, const char *path);

/* Makes a cgroup and its parents, and enables every controller of the root that its ancestors pass
 * on. Returns a descriptor of the directory (O_RDONLY), fit for CLONE_INTO_CGROUP, or -1 and sets
 * err. An existing cgroup is reused if it is empty, and is ALREADY_EXISTS if it has processes. */
int cgroup_create(int root_fd, const char *path, struct error *err);

/* Sends SIGKILL to all processes in the cgroup and below, without waiting. Returns 0, or -1 and
 * errno (ENOENT: no such cgroup). A single write: may be called on the loop. */
int cgroup_kill(int root_fd, const char *path);

/* Kills all processes in the cgroup, waits until it is empty, and removes it with everything
 * below and its empty parents (never the first component). Returns 0, also if the cgroup does
 * not exist, or -1 and sets err: DEADLINE_EXCEEDED after timeout_ms in which no process has
 * ended, or after four times as long, naming a remaining process. */
int cgroup_remove(int root_fd, const char *path, int timeout_ms, struct error *err);

/* The step of making a cgroup: `name` is its path below the cgroup root `fd`. Undone by
 * cgroup_remove(). */
extern const struct undo_kind undo_cgroup;

/* Finds the cgroup of a process from /proc/<pid>/cgroup (proc_fd is a procfs root): the path
 * without its leading slash, as seen from the caller's cgroup namespace. Returns 0, or -1 and
 * errno. */
int cgroup_of_process(int proc_fd, int pid, char *path, size_t size);
