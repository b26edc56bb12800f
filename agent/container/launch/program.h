/* SPDX-License-Identifier: Apache-2.0 */
/* The last thing a container's process does of ours. Used by container_init.c and last_fork.c. */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "agent/container/hooks/hooks.h"
#include "agent/container/seccomp/filter.h"

struct container_init;

/* What execve is to get, and the filter it runs under. */
struct program {
	char path[PATH_MAX], **args, **env;
	struct filter filter;
	/* of a last fork: its startContainer hooks, for a process of their own beside it */
	struct hook_plan hooks;
	pid_t *pid; /* there the last process finds its own number in its pid namespace; NULL: nobody needs it */
	int go; /* a byte that is not 0 is awaited here instead of at the gate; -1: none */
};

/* Exit code: the seccomp filter is missing. */
#define EXIT_NOT_LOADED 125

/* Makes a session, with the terminal if there is one. 0, or -1 and errno. */
int program_make_session(const struct container_init *e);

/* Loads the filter, unless it is in force already, and runs the program. Allocates nothing; the caller's stack may be another
 * than the sanitizer's. */
__attribute__((no_sanitize_address)) _Noreturn void program_run(const struct container_init *e,
								const struct program *program,
								bool is_filtered);
