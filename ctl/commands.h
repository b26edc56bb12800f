/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of tatamictl. Each is called with its name in argv[0], prints its own errors and
 * returns the exit code of the program. */
#pragma once

struct run_options;

/* Exit codes of tatamictl itself; the exit code of a container process is passed through. */
enum {
	EXIT_USAGE = 2,
	EXIT_FAILED = 125,
};

int cmd_run(int argc, char **argv);
int cmd_boot(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_pod(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_images(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_rmi(int argc, char **argv);

/* Runs a container in the VM o->in. Returns the exit code. */
int cmd_run_in(struct run_options *o);
