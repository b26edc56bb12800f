/* SPDX-License-Identifier: Apache-2.0 */
/* The command lines of tatami-rootfs and tatami-initrd: one table of options for both, from which
 * they are parsed and --help is printed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "rootfs-builder/build.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/* Bits of a set of programs. */
enum options_for {
	OPTIONS_INITRD = 1,
	OPTIONS_ROOTFS = 2,
};

struct options_program {
	enum options_for program;
	const char *name;
	/* First lines of --help. */
	const char *usage;
	/* For --help, and the additions as options; NULL if the program has none. */
	const struct addition_kind *additions;
	const struct input_kind *const *inputs;
	const struct output_kind *const *outputs;
};

/* A parsed command line. Lists end with NULL, and are NULL if they are empty. */
struct options {
	const struct options_program *program;
	/* inputs and format are not set. */
	struct build_spec build;
	/* Values of --from and --format. */
	const char *const *from;
	const char *format;
	/* tatami-initrd. */
	const char *const *trees, *const *owners;
	const char *list;
	bool quiet, json, help, version, has_epoch;
	struct addition *additions;
	/* The default of --init. */
	char *found_init;
};

/* Parses the command line and sets defaults. Returns -1 to go on, else the exit status: a message,
 * or what --help and --version ask for, has been printed. Options are released in either case. */
int options_parse(struct options *options, const struct options_program *program, int argc,
		  char **argv);

void options_release(struct options *options);

/* Prints a message about invalid usage. Returns EXIT_USAGE. */
int options_refuse(const struct options *options, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints that memory is exhausted. Returns EXIT_FAILED. */
int options_no_memory(const struct options *options);
