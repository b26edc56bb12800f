/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl's commands. Each gets argv[0] = its name, prints its own errors, returns the program's exit code. */
#pragma once

/* Exit codes of tatamictl's own; a container's code is passed on as it is. */
enum {
	EXIT_USAGE = 2,
	EXIT_FAILED = 125,
};

int cmd_run(int argc, char **argv);
int cmd_boot(int argc, char **argv);
int cmd_pod(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_stop(int argc, char **argv);
