/* SPDX-License-Identifier: Apache-2.0 */
/* Which program the agent is, and how it is started. Runs in the agent's process, after the fork. */
#pragma once

/* Another agent in the image, started by our init in place of ours. */
#define PROGRAM_FOREIGN "/usr/bin/kata-agent"

typedef int agent_main_fn(int argc, char **argv, int init_fd);

struct agent_exec {
	const char *foreign; /* path to execute instead of ourselves; NULL: ourselves */
	const char *path;    /* PATH for the agent; NULL: as it is */
	/* The agent's arguments in argv[1]...argv[argc - 1]; argv[0] is overwritten, argv[argc] is NULL. */
	int argc;
	char **argv;
	agent_main_fn *agent_main; /* called if we cannot be executed again (no /proc) */
};

/* PROGRAM_FOREIGN if it is there and is another file than our own executable; else NULL. */
const char *agent_exec_foreign(void);

/* For supervise_spec.start; data is a struct agent_exec. Becomes the agent; fd (or -1) is its end of the socket.
 * Returns the exit code if that fails. */
int agent_exec(int fd, void *data);
