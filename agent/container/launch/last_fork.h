/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last fork before a program, for an exec and for the first process of a container in a shared
 * pid namespace. Other processes of the pid namespace may be able to trace the new one, so it
 * enters the namespace as the last step, without any memory, descriptor or capability of the agent:
 *
 *   worker --clone--> set-up process: stays outside of the pid namespace, does all other steps
 *      `--clone--> middle process, with the same memory: enters the pid namespace, loads the
 *                  seccomp filter, drops the capability that these two steps require
 *         `--clone--> last process, in the pid namespace: waits for the worker, then at the gate;
 *                     execve
 *
 * If the container has a user namespace that does not own the pid namespace, the set-up process
 * has selected the pid namespace for its children before it joined its user namespace, and takes
 * the steps of the middle process itself.
 *
 * startContainer hooks run in a further process like the last one, but without the seccomp filter:
 * it waits at the gate, runs the hooks and releases the last process.
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
