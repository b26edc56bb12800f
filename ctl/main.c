/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl: boots VMs with a Kata agent and drives the agent. Table of commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/commands/cmd_rpc.h"
#include "ctl/commands/commands.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/version.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", cmd_run, "boot a VM, run a command in a container in it, clean up" },
	{ "boot", cmd_boot, "boot a VM with a container and leave it running" },
	{ "pod", cmd_pod, "boot a VM with the pod described by a file" },
	{ "ps", cmd_ps, "list the VMs" },
	{ "attach", cmd_attach,
	  "connect to the input and output of a container in the background" },
	{ "exec", cmd_exec, "run another process in the container of a running VM" },
	{ "cp", cmd_cp, "copy files from or to a container" },
	{ "logs", cmd_logs, "print the output of a container in the background" },
	{ "console", cmd_console, "print what the guest of a VM wrote to its console" },
	{ "shell", cmd_shell, "open a shell in the guest, outside of containers" },
	{ "stats", cmd_stats, "print processor time, memory and tasks of a container" },
	{ "inspect", cmd_inspect, "print what is known of a VM as JSON" },
	{ "wait", cmd_wait, "wait for the end of a VM, and print its exit code" },
	{ "stop", cmd_stop, "end a running VM" },
	{ "rm", cmd_rm, "remove the exit code and the logs of a VM that has ended" },
	{ "plug", cmd_plug, "plug a device, memory or a processor into a running VM" },
	{ "unplug", cmd_unplug, "remove what was plugged in" },
	{ "detach", cmd_unplug, "the former name of unplug" },
	{ "images", cmd_images, "list the images that were unpacked" },
	{ "pull", cmd_pull, "download an image with skopeo" },
	{ "rmi", cmd_rmi, "remove images that were unpacked" },
	{ "check", cmd_check, "print what a VM would be made of here, and what is missing" },
	{ "rpc", cmd_rpc, "call a method of an agent, with request and reply in JSON" },
};

static void
print_help(FILE *to)
{
	(void)fprintf(to, "usage: tatamictl COMMAND [options]\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		(void)fprintf(to, "  %-7s %s\n", commands[i].name, commands[i].help);
	(void)fprintf(to,
		      "\n`tatamictl COMMAND --help` prints more; see also tatamictl(1).\n"
		      "Exit code: that of the process; 2 usage; 125 tatamictl or the VM failed;\n"
		      "126 the program cannot be executed; 127 it was not found.\n");
}

/* Returns the exit code, unless the output could not be written. */
static int
main_end(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	(void)fprintf(stderr, "tatamictl: failed to write to standard output: %s\n",
		      strerror(errno));
	return code ? code : EXIT_FAILED;
}

int
main(int argc, char **argv)
{
	static char help[] = "--help";

	io_open_standard();
	/* As `COMMAND --help`. */
	if (argc == 3 && strcmp(argv[1], "help") == 0) {
		argv[1] = argv[2];
		argv[2] = help;
	}
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
			  strcmp(argv[1], "help") == 0)) {
		print_help(stdout);
		return main_end(0);
	}
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("tatamictl %s (%s)\n", tatami_version, tatami_commit);
		return main_end(0);
	}
	for (size_t i = 0; argc >= 2 && i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return main_end(commands[i].run(argc - 1, argv + 1));
	if (argc >= 2)
		(void)fprintf(stderr, "tatamictl: unknown command \"%s\"\n", argv[1]);
	print_help(stderr);
	return EXIT_USAGE;
}
