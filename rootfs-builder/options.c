/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/options.h"

#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "lib/version.h"
#include "rootfs-builder/initrd.h"

enum option_type {
	/* bool: set to true */
	TYPE_FLAG,
	/* const char * */
	TYPE_TEXT,
	/* const char *const *: each use adds one */
	TYPE_LIST,
	/* uint64_t: bytes, with a suffix K, M or G */
	TYPE_SIZE,
	/* uint32_t */
	TYPE_SECONDS,
	/* enum pack_format */
	TYPE_COMPRESSION,
};

/* Parts of --help. */
enum section {
	SECTION_GENERAL,
	SECTION_OUTPUTS,
	SECTION_INPUTS,
};

struct option_row {
	const char *name;
	/* 0: the option has no short form. */
	char letter;
	/* For --help; NULL for a flag. */
	const char *argument;
	enum option_type type;
	/* Offset of the value in struct options. */
	size_t offset;
	/* enum options_for */
	unsigned programs;
	enum section section;
	const char *help;
};

#define INITRD OPTIONS_INITRD
#define ROOTFS OPTIONS_ROOTFS
#define BOTH   (OPTIONS_INITRD | OPTIONS_ROOTFS)
#define ROW(section_, letter_, name_, argument_, type_, programs_, member, help_)   \
	{                                                                           \
		.section = SECTION_##section_, .letter = letter_, .name = name_,    \
		.argument = argument_, .type = TYPE_##type_, .programs = programs_, \
		.offset = offsetof(struct options, member), .help = help_,          \
	}

static const struct option_row rows[] = {
	ROW(GENERAL, 'o', "output", "FILE", TEXT, BOTH, build.output,
	    "what to make; replaced only on success"),
	ROW(GENERAL, 'f', "format", "KIND", TEXT, ROOTFS, format, "its form (default: initrd)"),
	ROW(GENERAL, 'F', "from", "KIND:SOURCE", LIST, ROOTFS, from,
	    "an input; a later one replaces files of earlier ones"),
	ROW(GENERAL, 'i', "init", "PROGRAM", TEXT, BOTH, build.init,
	    "the static tatami (default: the one next to this program)"),
	ROW(GENERAL, 'a', "agent", "PROGRAM", TEXT, BOTH, build.agent,
	    "another agent for /usr/bin/kata-agent"),
	ROW(GENERAL, 't', "tree", "DIR", LIST, INITRD, trees,
	    "add the content of DIR first (may be repeated)"),
	ROW(GENERAL, 0, "keep-init", NULL, FLAG, BOTH, build.keep_init,
	    "keep /sbin/init of the input (systemd)"),
	ROW(GENERAL, 0, "rootfs-only", NULL, FLAG, ROOTFS, build.rootfs_only,
	    "add no programs and files of ours: a root for containers"),
	ROW(GENERAL, 0, "keep-owners", NULL, FLAG, BOTH, build.keep_owners,
	    "keep the owners of files in directories (default: root)"),
	ROW(GENERAL, 0, "owner", "UID:GID:PATH", LIST, INITRD, owners,
	    "set the owner of one path (may be repeated)"),
	ROW(GENERAL, 'm', "modules", "DIR", TEXT, BOTH, build.modules_dir,
	    "add kernel modules from DIR, a .../lib/modules/RELEASE"),
	ROW(GENERAL, 0, "module", "NAME", LIST, BOTH, build.modules,
	    "add one more module, \"NAME PARAMETERS\" (may be repeated)"),
	ROW(GENERAL, 0, "no-default-modules", NULL, FLAG, BOTH, build.no_default_modules,
	    "add only modules named with --module"),
	ROW(GENERAL, 0, "modules-as-is", NULL, FLAG, BOTH, build.modules_as_is,
	    "leave compressed modules compressed"),
	ROW(GENERAL, 0, "arch", "ARCH", TEXT, BOTH, build.arch,
	    "x86_64, aarch64, riscv64 or s390x (default: that of this machine)"),
	ROW(GENERAL, 0, "epoch", "SECONDS", SECONDS, BOTH, build.epoch,
	    "time of all files (default: SOURCE_DATE_EPOCH, or 2025)"),
	ROW(GENERAL, 'c', "compress", "HOW", COMPRESSION, BOTH, build.compress,
	    "none, gzip (default; any kernel unpacks it), zstd, xz, xz-plain, lz4"),
	ROW(GENERAL, 0, "max-size", "N", SIZE, BOTH, build.max_size,
	    "fail if the result is larger (suffixes K, M, G)"),
	ROW(OUTPUTS, 0, "filesystem", "TYPE", TEXT, ROOTFS, build.filesystem,
	    "of a disk: ext4, erofs, squashfs or xfs"),
	ROW(OUTPUTS, 0, "partitions", "TABLE", TEXT, ROOTFS, build.partitions,
	    "of a disk: none, mbr or gpt"),
	ROW(OUTPUTS, 0, "verity", NULL, FLAG, ROOTFS, build.verity, "add a dm-verity hash tree"),
	ROW(OUTPUTS, 0, "dax", NULL, FLAG, ROOTFS, build.dax,
	    "add the header for an NVDIMM with DAX"),
	ROW(OUTPUTS, 0, "size", "N", SIZE, ROOTFS, build.size,
	    "size of a file system (default: as needed)"),
	ROW(OUTPUTS, 0, "free", "N", SIZE, ROOTFS, build.free_space, "space to leave in it"),
	ROW(OUTPUTS, 0, "align", "N", SIZE, ROOTFS, build.align,
	    "the size of a disk is a multiple of this"),
	ROW(INPUTS, 0, "package", "NAME", LIST, ROOTFS, build.packages, "add a package (debian)"),
	ROW(INPUTS, 0, "mirror", "URL", LIST, ROOTFS, build.mirrors,
	    "a mirror, or a line of sources.list (debian)"),
	ROW(INPUTS, 0, "no-prune", NULL, FLAG, ROOTFS, build.no_prune,
	    "keep documentation, translations and the like (debian)"),
	ROW(INPUTS, 0, "refresh", NULL, FLAG, ROOTFS, build.refresh,
	    "read package lists that are less than a day old, too (debian)"),
	ROW(INPUTS, 0, "offline", NULL, FLAG, ROOTFS, build.offline, "use the cache only"),
	ROW(INPUTS, 0, "cache", "DIR", TEXT, ROOTFS, build.cache,
	    "directory for downloads (default: ~/.cache/tatami)"),
	ROW(GENERAL, 'l', "list", "FILE", TEXT, INITRD, list,
	    "list the content of an initrd: mode, owner, size, path"),
	ROW(GENERAL, 0, "describe", NULL, FLAG, ROOTFS, build.describe,
	    "write what an engine needs to run the image (OUTPUT.image.json)"),
	ROW(GENERAL, 0, "no-sbom", NULL, FLAG, ROOTFS, build.no_sbom,
	    "write no bill of materials (OUTPUT.spdx.json)"),
	ROW(GENERAL, 0, "json", NULL, FLAG, ROOTFS, json, "print the result as JSON"),
	ROW(GENERAL, 'q', "quiet", NULL, FLAG, BOTH, quiet, "print warnings and errors only"),
	ROW(GENERAL, 'h', "help", NULL, FLAG, BOTH, help, "print this text"),
	ROW(GENERAL, 'V', "version", NULL, FLAG, BOTH, version, "print the version and the commit"),
};

/* Values of struct option: those of rows[] and of the additions begin here. */
enum {
	KEY_ROW = 256,
	KEY_ADDITION = KEY_ROW + ARRAY_LEN(rows),
};

static int options_read(struct options *options, int argc, char **argv);
static int options_take(struct options *options, const struct option_row *row, const char *value,
			size_t n_max);
static int options_complete(struct options *options);
static int options_find_init(struct options *options);
static int options_print_help(const struct options *options);

int
options_parse(struct options *options, const struct options_program *program, int argc, char **argv)
{
	int status;

	*options = (struct options){
		.program = program,
		.build = { .epoch = INITRD_EPOCH, .compress = PACK_GZIP },
	};
	status = options_read(options, argc, argv);
	if (status < 0 && options->help)
		status = options_print_help(options);
	if (status < 0 && options->version) {
		(void)printf("%s %s (%s)\n", program->name, tatami_version, tatami_commit);
		status = fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
	}
	if (status < 0 && !options->list)
		status = options_complete(options);
	if (status >= 0)
		options_release(options);
	return status;
}

/* Returns the value of a row. */
static void *
options_value(const struct options *options, const struct option_row *row)
{
	return (char *)options + row->offset;
}

void
options_release(struct options *options)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].type == TYPE_LIST)
			free(*(void **)options_value(options, &rows[i]));
	}
	free(options->additions);
	free(options->found_init);
	*options = (struct options){ .program = options->program };
}

int
options_refuse(const struct options *options, const char *format, ...)
{
	va_list ap;

	(void)fprintf(stderr, "%s: ", options->program->name);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fprintf(stderr, "; try %s --help\n", options->program->name);
	return EXIT_USAGE;
}

int
options_no_memory(const struct options *options)
{
	(void)fprintf(stderr, "%s: out of memory\n", options->program->name);
	return EXIT_FAILED;
}

/* Returns the row of a letter or of a value of struct option. */
static const struct option_row *
options_row(int key)
{
	const struct option_row *row = rows;

	if (key >= KEY_ROW)
		return &rows[key - KEY_ROW];
	while (row->letter != key)
		row++;
	return row;
}

/* Reads the command line up to --help or --version. */
static int
options_read(struct options *options, int argc, char **argv)
{
	const struct addition_kind *kinds = options->program->additions;
	struct option *o;
	size_t n_kinds = 0;
	char letters[2 * ARRAY_LEN(rows) + 1], *letter = letters;
	auto_free struct option *list = NULL;
	int key, status = -1;

	while (kinds && kinds[n_kinds].option)
		n_kinds++;
	list = calloc(ARRAY_LEN(rows) + n_kinds + 1, sizeof(*list));
	options->additions = calloc((size_t)argc, sizeof(*options->additions));
	if (!list || !options->additions)
		return options_no_memory(options);
	o = list;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int has_argument = rows[i].argument ? required_argument : no_argument;

		if (!(rows[i].programs & options->program->program))
			continue;
		*o++ = (struct option){ rows[i].name, has_argument, NULL, KEY_ROW + (int)i };
		if (!rows[i].letter)
			continue;
		*letter++ = rows[i].letter;
		if (rows[i].argument)
			*letter++ = ':';
	}
	*letter = '\0';
	for (size_t i = 0; i < n_kinds; i++)
		*o++ = (struct option){ kinds[i].option, required_argument, NULL,
					KEY_ADDITION + (int)i };
	optind = 0;
	while (status < 0 && !options->help && !options->version &&
	       (key = getopt_long(argc, argv, letters, list, NULL)) != -1) {
		/* getopt_long() has printed a message. */
		if (key == '?')
			return EXIT_USAGE;
		if (key >= KEY_ADDITION)
			options->additions[options->build.n_additions++] =
				(struct addition){ &kinds[key - KEY_ADDITION], optarg };
		else
			status = options_take(options, options_row(key), optarg, (size_t)argc);
	}
	options->build.additions = options->additions;
	if (status < 0 && !options->help && !options->version && optind < argc)
		return options_refuse(options, "unexpected argument %s", argv[optind]);
	return status;
}

/* Parses a number of bytes with an optional suffix K, M or G. */
static bool
options_parse_size(const char *text, uint64_t *out)
{
	size_t len = strlen(text);
	char digits[24];
	uint64_t n, unit = 1;

	if (len && strchr("KMG", text[len - 1]))
		unit = UINT64_C(1) << (text[len - 1] == 'K' ? 10 : text[len - 1] == 'M' ? 20 : 30);
	if (unit > 1)
		len--;
	if (len >= sizeof(digits))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (!parse_u64(digits, &n) || n > INT64_MAX / unit)
		return false;
	*out = n * unit;
	return true;
}

/* Stores the value of an option, of which the command line has at most n_max. */
static int
options_take(struct options *options, const struct option_row *row, const char *value, size_t n_max)
{
	void *to = options_value(options, row);
	const char ***list = to;
	size_t n = 0;

	switch (row->type) {
	case TYPE_FLAG:
		*(bool *)to = true;
		return -1;
	case TYPE_TEXT:
		*(const char **)to = value;
		return -1;
	case TYPE_LIST:
		if (!*list)
			*list = calloc(n_max + 1, sizeof(**list));
		if (!*list)
			return options_no_memory(options);
		while ((*list)[n])
			n++;
		(*list)[n] = value;
		return -1;
	case TYPE_SIZE:
		return options_parse_size(value, to)
			       ? -1
			       : options_refuse(options,
						"invalid --%s %s: not a number of bytes (suffixes "
						"K, M, G)",
						row->name, value);
	case TYPE_SECONDS:
		options->has_epoch = true;
		return parse_u32(value, to)
			       ? -1
			       : options_refuse(options, "invalid --%s %s: not a number of seconds",
						row->name, value);
	case TYPE_COMPRESSION:
		options->build.has_compress = true;
		return pack_format_parse(value, to)
			       ? -1
			       : options_refuse(options,
						"invalid --%s %s: not none, gzip, zstd, xz, "
						"xz-plain or lz4",
						row->name, value);
	}
	return -1;
}

/* Sets what was not given, for both programs alike. */
static int
options_complete(struct options *options)
{
	struct build_spec *build = &options->build;
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	if (!build->output || !*build->output)
		return options_refuse(options, "no --output");
	if (epoch && *epoch && !options->has_epoch && !parse_u32(epoch, &build->epoch))
		return options_refuse(
			options, "invalid SOURCE_DATE_EPOCH %s: not a number of seconds", epoch);
	if ((build->modules || build->no_default_modules) && !build->modules_dir)
		return options_refuse(options, "%s needs --modules DIR",
				      build->modules ? "--module" : "--no-default-modules");
	if (build->init || build->rootfs_only)
		return -1;
	return options_find_init(options);
}

/* Looks for the program as it lies in a build, and as `make install` puts it. */
static int
options_find_init(struct options *options)
{
	static const char *const places[] = { "tatami", "../lib/tatami/tatami" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = '\0';
	if (strrchr(self, '/'))
		*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		free(steal_ptr(&options->found_init));
		if (asprintf(&options->found_init, "%s/%s", self, places[i]) < 0) {
			options->found_init = NULL;
			return options_no_memory(options);
		}
		if (access(options->found_init, R_OK) == 0) {
			options->build.init = options->found_init;
			return -1;
		}
	}
	return options_refuse(options, "no --init, and no program tatami next to this one");
}

static void
options_print_row(char letter, const char *name, const char *argument, const char *help)
{
	char left[80], prefix[8] = "      ";

	if (letter)
		(void)snprintf(prefix, sizeof(prefix), "  -%c, ", letter);
	(void)snprintf(left, sizeof(left), "%s--%s%s%s", prefix, name, argument ? " " : "",
		       argument ? argument : "");
	if (strlen(left) > 26)
		(void)printf("%s\n%27s%s\n", left, "", help);
	else
		(void)printf("%-26s %s\n", left, help);
}

static void
options_print_section(const struct options *options, enum section section)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].section == section && rows[i].programs & options->program->program)
			options_print_row(rows[i].letter, rows[i].name, rows[i].argument,
					  rows[i].help);
	}
}

static int
options_print_help(const struct options *options)
{
	const struct options_program *program = options->program;

	(void)fputs(program->usage, stdout);
	options_print_section(options, SECTION_GENERAL);
	if (program->additions)
		(void)fputs("\nAdditions, in the order given:\n", stdout);
	for (const struct addition_kind *kind = program->additions; kind && kind->option; kind++)
		options_print_row(0, kind->option, kind->argument, kind->help);
	if (program->outputs)
		(void)fputs("\nOutputs (--format):\n", stdout);
	for (size_t i = 0; program->outputs && program->outputs[i]; i++)
		(void)printf("  %-24s %s\n", program->outputs[i]->name, program->outputs[i]->help);
	options_print_section(options, SECTION_OUTPUTS);
	if (program->inputs)
		(void)fputs("\nInputs (--from):\n", stdout);
	for (size_t i = 0; program->inputs && program->inputs[i]; i++)
		(void)printf("  %-24s %s\n", program->inputs[i]->name, program->inputs[i]->help);
	options_print_section(options, SECTION_INPUTS);
	(void)fputs("\nExit status: 0 success, 1 failure, 2 invalid usage.\n", stdout);
	return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
