/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of an exec, and the first one of a container in a shared pid namespace, enter the pid
 * namespace, where others may be able to trace them, by the last fork before their program, with
 * nothing left that they must not have:
 *
 *   worker --clone--> set-up process: outside of the pid namespace, does everything but that
 *                        `--clone--> with the same memory, enters the pid namespace, loads the seccomp filter, gives
 *                                    up the capability for these two
 *                                       `--clone--> in the pid namespace: waits for the worker's word, and at the gate; execve
 *
 * If the container has a user namespace of its own and the pid namespace is not of that, the set-up
 * process has chosen the pid namespace for its children before it entered its user namespace, and
 * does the middle process's work itself.
 *
 * startContainer hooks are run by one more process like the last, without the seccomp filter: it
 * waits at the gate, runs them, and lets the last process go.
 */
#pragma once

#include <sys/types.h>

struct container_init;
struct program;

/* Makes the process that runs the program's hooks after the gate has opened, and then releases
 * the last process through `go`. Called before last_fork(); returns like it. The caller keeps
 * the capability for last_fork(). */
pid_t last_fork_for_hooks(const struct container_init *e, const struct program *program, int go,
			  int *pidfd);

/* Makes the last process, which never returns from here, with the caller's descriptors and
 * memory. Returns its pid with *pidfd, which the caller owns, or -1 and errno. Allocates
 * nothing. */
pid_t last_fork(const struct container_init *e, const struct program *program, int *pidfd);
