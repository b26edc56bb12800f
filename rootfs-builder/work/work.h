/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private directory in which one build keeps its intermediate files. It lies in the directory
 * of the output, so that a finished file is renamed into place. It disappears with the process: on
 * return, on SIGINT, SIGTERM and SIGHUP, and also after SIGKILL, because a second process, the
 * guard, waits for the end of this one, kills the tool at work and removes the directory.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/error.h"

struct work;

/* Creates the directory for this output, a file or directory that need not exist yet. There is one
 * at a time in a process, whose signal handlers it sets. Returns NULL and err if the directory of
 * the output cannot be written. */
struct work *work_open(const char *output, struct error *err);

/* Kills what the tools have left behind, removes the directory with everything in it, and restores
 * the handlers. Prints a message if the directory cannot be removed. NULL is allowed. */
void work_close(struct work *work);

/* Returns the absolute path of the directory; owned by `work`. */
const char *work_dir(const struct work *work);

/* Returns the absolute path of a name in the directory, or NULL and err. The caller frees it. */
char *work_path(const struct work *work, const char *name, struct error *err);

/* Returns the signal that asked the build to end, or 0. */
int work_signal(void);

/* Tells whether a signal asked the build to end. Loops that take long call it. */
bool work_interrupted(void);

/* Fails with ABORTED if a signal asked the build to end. */
int work_check(struct error *err);

/* ---- for tool.c ---- */

/* Returns a descriptor that is readable once a signal asked the build to end; -1 without a work
 * directory. */
int work_interrupt_fd(void);

/* Returns the directory of the open work, or NULL. */
const char *work_current_dir(void);

/* Tells the guard which process group to kill if this process dies; 0: none. */
void work_guard_group(pid_t group);

/* Asks the children of this process, except `leader`, to end, and waits for `ms` milliseconds at
 * most: a server that a tool started removes what it has outside the directory. Returns at once if
 * there are none. */
void work_end_children(pid_t leader, int ms);

/* Kills and reaps every child of this process other than the guard. Descendants that lost their
 * parent are children, too, as long as a work directory is open. */
void work_kill_children(void);

/* Removes a file or tree below the directory, also one with directories that are not writable or
 * belong to the user's subordinate ids. */
int work_remove(const char *path, struct error *err);
