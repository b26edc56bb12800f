/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups (cgroup v2 only) by path below a root fd: make, find, kill, remove. Paths are relative
 * ("pods/a/b") and confined to the root. Writes to cgroupfs may wait for the kernel's locks: worker only,
 * except where it says otherwise. Source: Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/job/job.h"
#include "lib/error.h"

/* Longest relative path that is accepted. */
#define CGROUP_PATH_MAX 2048

/* Opens a cgroup's directory (O_RDONLY): fd, or -1 and errno. */
int cgroup_open(int root_fd, const char *path);

/* Is there a cgroup with processes in it or below? false also when it does not exist. */
bool cgroup_is_populated(int root_fd, const char *path);

/* Makes a cgroup and its parents and gives it every controller of the root that its ancestors let through.
 * Returns an fd of the directory (O_RDONLY), good for CLONE_INTO_CGROUP, or -1. One that exists and is empty is
 * taken over; one with processes in it is ALREADY_EXISTS. */
int cgroup_create(int root_fd, const char *path, struct error *err);

/* SIGKILL to everything in the cgroup and below, without waiting: 0, or -1 and errno (ENOENT: no such
 * cgroup). Takes one write; may be called on the loop. */
int cgroup_kill(int root_fd, const char *path);

/* Kills what is in it, waits until it is empty, removes it with what is below, and then its parents as far as they
 * are empty (never the first component). At most timeout_ms, then DEADLINE_EXCEEDED naming a process that
 * is left. A missing cgroup is success. */
int cgroup_remove(int root_fd, const char *path, int timeout_ms, struct error *err);

/* The step of making a cgroup: `name` is its path below the cgroup root `fd`. Undone by cgroup_remove(). */
extern const struct undo_kind undo_cgroup;

/* The cgroup of a process, from its /proc/<pid>/cgroup (proc_fd is a procfs root): the path without its leading
 * slash, as seen from the cgroup namespace of the caller. 0, or -1 and errno. */
int cgroup_of_process(int proc_fd, int pid, char *path, size_t size);
