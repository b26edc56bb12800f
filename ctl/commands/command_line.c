/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/commands/command_line.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/commands/commands.h"
#include "ctl/vm/find.h"
#include "lib/parse.h"

#define OPTIONS_MAX 16
/* getopt_long() returns this and the index in the table for an option; letters are less. */
#define FIRST_VALUE 256
#define HELP        (FIRST_VALUE + OPTIONS_MAX)

static int command_line_apply(const struct command_option *option, const char *value,
			      struct error *err);

int
command_line_read(const struct command_line *line, int argc, char **argv)
{
	struct option table[OPTIONS_MAX + 2] = { { .name = NULL } };
	char letters[2 * OPTIONS_MAX + 4];
	struct error err = ERROR_INIT;
	size_t n_letters = 0;
	int opt;

	if (line->is_prefix)
		letters[n_letters++] = '+';
	letters[n_letters++] = ':';
	letters[n_letters++] = 'h';
	for (size_t i = 0; i < line->n_options && i < OPTIONS_MAX; i++) {
		const struct command_option *o = &line->options[i];

		table[i] = (struct option){ .name = o->name,
					    .has_arg = o->flag ? no_argument : required_argument,
					    .val = FIRST_VALUE + (int)i };
		if (o->letter)
			letters[n_letters++] = o->letter;
		if (o->letter && !o->flag)
			letters[n_letters++] = ':';
	}
	table[line->n_options] = (struct option){ .name = "help", .val = HELP };
	letters[n_letters] = '\0';
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, letters, table, NULL)) != -1) {
		size_t i = 0;
		int r;

		if (opt == HELP || opt == 'h') {
			(void)fputs(line->usage, stdout);
			return 0;
		}
		while (i < line->n_options && opt != line->options[i].letter &&
		       opt != FIRST_VALUE + (int)i)
			i++;
		r = i < line->n_options ? command_line_apply(&line->options[i], optarg, &err)
					: command_line_bad_option(opt, argc, argv, &err);
		if (r < 0) {
			(void)fprintf(stderr, "tatamictl %s: %s\n", argv[0], err.msg);
			return -EXIT_USAGE;
		}
	}
	if (argc - optind >= line->operands_min && argc - optind <= line->operands_max)
		return optind;
	(void)fputs(line->usage, stderr);
	return -EXIT_USAGE;
}

static int
command_line_apply(const struct command_option *o, const char *value, struct error *err)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "--%s", o->name);
	if (o->flag)
		*o->flag = true;
	else if (o->text)
		*o->text = value;
	else if (o->timeout_ms)
		return command_line_parse_seconds(name, value, o->timeout_ms, err);
	else if (o->parse)
		return o->parse(value, o->data, err);
	else if (o->number && !parse_u32(value, o->number))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: expected a number", name,
				 value);
	else if (o->arch && !find_arch(value, o->arch))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: expected x86_64 or aarch64",
				 name, value);
	return 0;
}

int
command_line_bad_option(int opt, int argc, char *const *argv, struct error *err)
{
	const char *why = opt == ':' ? "needs a value" : "unknown option";
	int at = optind > argc ? argc : optind;
	/* the argument before, unless that has more short options */
	const char *word = at > 0 ? argv[at - 1] : "";

	if (optopt > 0 && optopt < FIRST_VALUE && strncmp(word, "--", 2) != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "-%c: %s (see --help)", optopt, why);
	if (opt == '?' && optopt)
		why = "takes no value";
	return error_set(err, ERROR_INVALID_ARGUMENT, "%s: %s (see --help)", word, why);
}

int
command_line_parse_number(const char *option, const char *text, unsigned int min, unsigned int max,
			  unsigned int *out, struct error *err)
{
	uint32_t v;

	if (!parse_u32(text, &v) || v < min || v > max)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s %s: expected a number from %u to %u", option, text, min, max);
	*out = v;
	return 0;
}

int
command_line_parse_seconds(const char *option, const char *text, int *out_ms, struct error *err)
{
	unsigned int seconds = 0;

	if (command_line_parse_number(option, text, 1, INT_MAX / 1000, &seconds, err) < 0)
		return -1;
	*out_ms = (int)seconds * 1000;
	return 0;
}
