/* SPDX-License-Identifier: Apache-2.0 */
/* tatami-rootfs: command-line program for build.h. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/options.h"

static const struct options_program program = {
	.program = OPTIONS_ROOTFS,
	.name = "tatami-rootfs",
	.usage = "usage: tatami-rootfs -o OUTPUT [OPTION...]\n"
		 "Makes the root file system or initrd of a guest. Needs no privilege; the same\n"
		 "input gives the same bytes.\n"
		 "\n",
	.additions = additions,
	.inputs = input_kinds,
	.outputs = output_kinds,
};

/* Values that this program chooses. */
struct defaults {
	struct build_input *inputs;
	char *cache;
};

static int main_complete(struct options *options, struct defaults *defaults);
static int main_choose_format(struct options *options);
static int main_add_inputs(struct options *options, struct defaults *defaults);
static int main_find_cache(struct options *options, struct defaults *defaults);
static int main_build(const struct options *options);

int
main(int argc, char **argv)
{
	struct defaults defaults = { 0 };
	struct options options;
	struct rlimit files;
	int status;

	/* A limit of the size of files is an error of write(2). */
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(022);
	/* One descriptor for each level of a tree that is removed. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	status = options_parse(&options, &program, argc, argv);
	if (status < 0)
		status = main_complete(&options, &defaults);
	if (status < 0)
		status = main_build(&options);
	options_release(&options);
	free(defaults.inputs);
	free(defaults.cache);
	return status;
}

/* Sets what was not given, and looks up the kinds that were named. */
static int
main_complete(struct options *options, struct defaults *defaults)
{
	struct build_spec *spec = &options->build;
	struct error err = ERROR_INIT;
	const struct arch *arch;
	int status;

	arch = arch_require(spec->arch, &err);
	if (!arch)
		return options_refuse(options, "%s", err.msg);
	spec->arch = arch->name;
	spec->machine = arch->machine;
	if (!spec->filesystem)
		spec->filesystem = "ext4";
	if (!spec->partitions)
		spec->partitions = "mbr";
	status = main_choose_format(options);
	if (status < 0)
		status = main_add_inputs(options, defaults);
	if (status < 0 && !spec->cache)
		status = main_find_cache(options, defaults);
	return status;
}

static int
main_choose_format(struct options *options)
{
	for (size_t i = 0; output_kinds[i]; i++) {
		if (options->format && strcmp(output_kinds[i]->name, options->format) != 0)
			continue;
		options->build.format = output_kinds[i];
		return -1;
	}
	return options_refuse(options, "invalid --format %s", options->format);
}

/* Takes "KIND[:SOURCE]", or a SOURCE whose kind can be seen. */
static int
main_add_input(struct options *options, const char *value, struct build_input *input)
{
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);

	for (size_t i = 0; input_kinds[i]; i++) {
		const struct input_kind *kind = input_kinds[i];

		if (strlen(kind->name) != len || strncmp(kind->name, value, len) != 0)
			continue;
		if (kind->has_no_source ? colon != NULL : !colon || !colon[1])
			continue;
		*input = (struct build_input){ kind, colon ? colon + 1 : NULL };
		return -1;
	}
	for (size_t i = 0; input_kinds[i]; i++) {
		if (!input_kinds[i]->recognizes || !input_kinds[i]->recognizes(value))
			continue;
		*input = (struct build_input){ input_kinds[i], value };
		return -1;
	}
	if (!colon && access(value, F_OK) < 0) {
		(void)fprintf(stderr, "tatami-rootfs: --from %s: no such input or file\n", value);
		return EXIT_FAILED;
	}
	return options_refuse(
		options, "invalid --from %s: not KIND:SOURCE, nor a file of a known kind", value);
}

static int
main_add_inputs(struct options *options, struct defaults *defaults)
{
	size_t n = 0;

	while (options->from && options->from[n])
		n++;
	defaults->inputs = calloc(n + 1, sizeof(*defaults->inputs));
	if (!defaults->inputs)
		return options_no_memory(options);
	for (size_t i = 0; i < n; i++) {
		int status = main_add_input(options, options->from[i], &defaults->inputs[i]);

		if (status >= 0)
			return status;
	}
	options->build.inputs = defaults->inputs;
	options->build.n_inputs = n;
	return -1;
}

/* Sets the default of the cache directory, if there is one. */
static int
main_find_cache(struct options *options, struct defaults *defaults)
{
	const char *cache = getenv("TATAMI_CACHE"), *home = getenv("HOME");

	if (cache && *cache) {
		options->build.cache = cache;
		return -1;
	}
	if (!home || !*home)
		return -1;
	if (asprintf(&defaults->cache, "%s/.cache/tatami", home) < 0) {
		defaults->cache = NULL;
		return options_no_memory(options);
	}
	options->build.cache = defaults->cache;
	return -1;
}

static int
main_build(const struct options *options)
{
	enum report_mode mode = options->json    ? REPORT_JSON
				: options->quiet ? REPORT_QUIET
						 : REPORT_TEXT;
	struct report *report = report_new(mode, program.name);
	struct error err = ERROR_INIT;
	int r, printed;

	if (!report)
		return options_no_memory(options);
	r = build_run(&options->build, report, &err);
	printed = report_finish(report, r < 0 ? &err : NULL);
	report_free(report);
	if (work_interrupted()) {
		/* A shell then stops its script, too. */
		(void)signal(work_signal(), SIG_DFL);
		(void)raise(work_signal());
	}
	if (r == 0 && printed < 0)
		(void)fputs("tatami-rootfs: failed to write standard output\n", stderr);
	return r < 0 || printed < 0 ? EXIT_FAILED : EXIT_DONE;
}
