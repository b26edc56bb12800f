/* SPDX-License-Identifier: Apache-2.0 */
/* The command lines of all commands but run, boot and pod (options.h): a table of options each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/vm/vm_options.h"
#include "lib/error.h"

/* One of the pointers is set, and says what the option takes: a flag nothing, all others a value.
 * --help is an option of each command, and not in its table. */
struct command_option {
	/* without the dashes */
	const char *name;
	/* the short form, 0: none */
	char letter;
	bool *flag;
	const char **text;
	uint32_t *number;
	/* seconds on the command line, at least 1 */
	int *timeout_ms;
	enum vm_arch *arch;
	/* Called for each occurrence, with `data`. Returns 0, or -1 and err. */
	int (*parse)(const char *value, void *data, struct error *err);
	void *data;
};

struct command_line {
	const char *usage;
	const struct command_option *options;
	size_t n_options;
	int operands_min, operands_max;
	/* Options after the first operand belong to it. */
	bool is_prefix;
};

/* Reads the options of the command argv[0]. Returns the index of the first operand, or the negative
 * exit code, with 0 after --help, once the help or what is wrong has been printed. */
int command_line_read(const struct command_line *line, int argc, char **argv);

/* Sets err for ':' or '?', which getopt_long() returned, and returns -1. */
int command_line_bad_option(int opt, int argc, char *const *argv, struct error *err);

/* Parses a number from min to max, the value of this option. Returns 0, or -1 and err
 * (INVALID_ARGUMENT). */
int command_line_parse_number(const char *option, const char *text, unsigned int min,
			      unsigned int max, unsigned int *out, struct error *err);

/* Parses a time limit in seconds. Returns 0, or -1 and err (INVALID_ARGUMENT). */
int command_line_parse_seconds(const char *option, const char *text, int *out_ms,
			       struct error *err);
