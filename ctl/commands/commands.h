/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of tatamictl. Each is called with its name in argv[0], prints its own errors and
 * returns the exit code of the program. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct run_options;

/* Exit codes of tatamictl itself; the exit code of a container process is passed through. */
enum {
	EXIT_USAGE = 2,
	EXIT_FAILED = 125,
	/* The container's program could not be executed, or was not found. */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_INTERRUPTED = 130,
};

/* Returns the exit code for an error that ended a command. */
int exit_code_of(const struct error *err);

int cmd_run(int argc, char **argv);
int cmd_boot(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_shell(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_plug(int argc, char **argv);
int cmd_unplug(int argc, char **argv);
int cmd_pod(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_cp(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_rm(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_images(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_rmi(int argc, char **argv);

/* Boots a VM as `boot` does, for this command. Returns the exit code. */
int boot_in_background(struct run_options *o, const char *command);

/* Runs a container in the VM o->in. Returns the exit code. */
int cmd_run_in(struct run_options *o);
