/* SPDX-License-Identifier: Apache-2.0 */
/* tatami-initrd: command-line program for initrd.h. */
#include <stdio.h>

#include "lib/error.h"
#include "rootfs-builder/initrd.h"
#include "rootfs-builder/options.h"

static const struct options_program program = {
	.program = OPTIONS_INITRD,
	.name = "tatami-initrd",
	.usage = "usage: tatami-initrd -o FILE [OPTION...]\n"
		 "       tatami-initrd --list FILE\n"
		 "Makes an initrd that boots tatami as init. Needs no privilege; the same\n"
		 "input gives the same bytes.\n"
		 "\n",
};

static int main_build(const struct options *options, struct error *err);

int
main(int argc, char **argv)
{
	struct options options;
	struct error err = ERROR_INIT;
	int r, status = options_parse(&options, &program, argc, argv);

	if (status >= 0)
		return status;
	r = options.list ? initrd_list(options.list, stdout, &err) : main_build(&options, &err);
	options_release(&options);
	if (fflush(stdout) != 0 && r == 0)
		r = error_sys(&err, "failed to write the output");
	if (r == 0)
		return EXIT_DONE;
	(void)fprintf(stderr, "tatami-initrd: %s\n", err.msg);
	return EXIT_FAILED;
}

static void
main_say_note(const char *text, void *data)
{
	(void)data;
	(void)fprintf(stderr, "tatami-initrd: %s\n", text);
}

static int
main_build(const struct options *options, struct error *err)
{
	const struct build_spec *build = &options->build;
	const struct initrd_spec spec = {
		.init = build->init,
		.output = build->output,
		.agent = build->agent,
		.keep_init = build->keep_init,
		.trees = options->trees,
		.keep_owners = build->keep_owners,
		.owners = options->owners,
		.modules_dir = build->modules_dir,
		.modules = build->modules,
		.no_default_modules = build->no_default_modules,
		.modules_as_is = build->modules_as_is,
		.format = build->compress,
		.max_size = build->max_size,
		.arch = build->arch,
		.epoch = build->epoch,
		.note = main_say_note,
	};
	struct initrd_result result;

	if (initrd_build(&spec, &result, err) < 0)
		return -1;
	if (!options->quiet)
		(void)printf(
			"%s: %llu bytes (%llu uncompressed), %zu entries, %zu kernel modules\n",
			spec.output, (unsigned long long)result.size,
			(unsigned long long)result.raw_size, result.entries, result.modules);
	return 0;
}
