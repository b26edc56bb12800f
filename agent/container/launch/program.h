/* SPDX-License-Identifier: Apache-2.0 */
/* Execution of a container's program, the last step of the set-up. Used by container_init.c and
 * last_fork.c. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "agent/container/hooks/hooks.h"
#include "agent/container/seccomp/filter.h"

struct container_init;

/* The arguments of execve and the seccomp filter. */
struct program {
	char path[PATH_MAX], **args, **env;
	struct filter filter;
	/* With a last fork: the startContainer hooks, which run in a separate process. */
	struct hook_plan hooks;
	/* Receives the pid of the last process in its pid namespace; NULL: not needed. */
	pid_t *pid;
	/* The last process waits for a byte other than 0 here instead of at the gate; -1: none. */
	int go;
};

/* Exit code if the seccomp filter could not be loaded. */
#define EXIT_NOT_LOADED 125

/* Creates a session, with the terminal if there is one. Returns 0, or -1 and errno. */
int program_make_session(const struct container_init *e);

/* Loads the filter, unless is_filtered, and executes the program. Never returns. Allocates
 * nothing; may run on a stack that the sanitizer does not know. */
__attribute__((no_sanitize_address)) _Noreturn void program_run(const struct container_init *e,
								const struct program *program,
								bool is_filtered);
