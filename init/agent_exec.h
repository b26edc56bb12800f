/* SPDX-License-Identifier: Apache-2.0 */
/* Selection and start of the agent's program. Runs in the agent's process after the fork. */
#pragma once

/* Path of another agent in the image, which our init starts in place of ours. */
#define PROGRAM_FOREIGN "/usr/bin/kata-agent"

typedef int agent_main_fn(int argc, char **argv, int init_fd);

struct agent_exec {
	/* Path to execute; NULL for our own program. */
	const char *foreign;
	/* PATH for the agent; NULL leaves it unchanged. */
	const char *path;
	/* Arguments of the agent in argv[1] to argv[argc - 1]; argv[0] is overwritten, argv[argc]
	 * is NULL. */
	int argc;
	char **argv;
	/* Called if our program cannot be executed again (no /proc). */
	agent_main_fn *agent_main;
};

/* Returns PROGRAM_FOREIGN if it exists and is not our own executable, else NULL. */
const char *agent_exec_foreign(void);

/* Executes the agent; a supervise_spec.start whose data is a struct agent_exec. fd is the
 * agent's end of the socket, or -1. Returns an exit code on failure. */
int agent_exec(int fd, void *data);
