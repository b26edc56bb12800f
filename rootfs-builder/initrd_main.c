/* SPDX-License-Identifier: Apache-2.0 */
/* tatami-initrd: command-line program for initrd.h. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/parse.h"
#include "lib/version.h"
#include "rootfs-builder/initrd.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

static const char help[] =
	"usage: tatami-initrd -o FILE --init PROGRAM [OPTION...]\n"
	"       tatami-initrd --list FILE\n"
	"Builds an initrd that boots PROGRAM (the static tatami binary) as init.\n"
	"\n"
	"  -o, --output FILE       the initrd to write; replaced only on success\n"
	"  -i, --init PROGRAM      the static program that becomes /init\n"
	"  -a, --agent PROGRAM     another agent for /usr/bin/kata-agent (default: PROGRAM)\n"
	"  -t, --tree DIR          add the content of DIR first (may be repeated)\n"
	"      --keep-init         keep the tree's /sbin/init (systemd); PROGRAM is the agent\n"
	"      --keep-owners       keep the owners of the trees' files (default: root)\n"
	"      --owner UID:GID:PATH  set the owner of one path (may be repeated)\n"
	"  -m, --modules DIR       add kernel modules from DIR, a .../lib/modules/RELEASE\n"
	"      --module NAME       add one more module, \"NAME PARAMETERS\" (may be repeated)\n"
	"      --no-default-modules  add only modules named with --module\n"
	"      --modules-as-is     leave compressed modules compressed\n"
	"  -c, --compress HOW      none, gzip (default; any kernel unpacks it), zstd, xz, lz4\n"
	"      --max-size N        fail if the file is larger than N bytes (suffixes K, M)\n"
	"      --arch ARCH         x86_64, aarch64 or riscv64 (default: that of this machine)\n"
	"  -l, --list FILE         list the content of an initrd: mode, owner, size, path\n"
	"  -q, --quiet             print nothing on success\n"
	"  -h, --help   -V, --version\n"
	"\n"
	"SOURCE_DATE_EPOCH sets the time of every entry.\n"
	"Exit status: 0 success, 1 failure, 2 invalid usage.\n";

enum option_key {
	KEY_KEEP_INIT = 256,
	KEY_KEEP_OWNERS,
	KEY_OWNER,
	KEY_MODULE,
	KEY_NO_DEFAULT_MODULES,
	KEY_MODULES_AS_IS,
	KEY_MAX_SIZE,
	KEY_ARCH,
};

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "init", required_argument, NULL, 'i' },
	{ "agent", required_argument, NULL, 'a' },
	{ "tree", required_argument, NULL, 't' },
	{ "keep-init", no_argument, NULL, KEY_KEEP_INIT },
	{ "keep-owners", no_argument, NULL, KEY_KEEP_OWNERS },
	{ "owner", required_argument, NULL, KEY_OWNER },
	{ "modules", required_argument, NULL, 'm' },
	{ "module", required_argument, NULL, KEY_MODULE },
	{ "no-default-modules", no_argument, NULL, KEY_NO_DEFAULT_MODULES },
	{ "modules-as-is", no_argument, NULL, KEY_MODULES_AS_IS },
	{ "compress", required_argument, NULL, 'c' },
	{ "max-size", required_argument, NULL, KEY_MAX_SIZE },
	{ "arch", required_argument, NULL, KEY_ARCH },
	{ "list", required_argument, NULL, 'l' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* The parsed command line. Each list has room for all arguments. */
struct request {
	struct initrd_spec spec;
	const char **trees, **modules, **owners;
	size_t n_trees, n_modules, n_owners;
	const char *list;
	bool quiet;
};

static int main_bad_usage(const char *format, const char *value)
	__attribute__((format(printf, 1, 0)));
static void main_say_note(const char *text, void *data);
static int main_run(int argc, char **argv, struct request *request);
static int main_parse_args(int argc, char **argv, struct request *request);
static int main_take_option(int key, struct request *request);
static int main_take_flag(int key, struct request *request);

static int
main_bad_usage(const char *format, const char *value)
{
	(void)fprintf(stderr, "tatami-initrd: ");
	(void)fprintf(stderr, format, value);
	(void)fprintf(stderr, "; try tatami-initrd --help\n");
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	auto_free const char **trees = calloc((size_t)argc + 1, sizeof(char *));
	auto_free const char **modules = calloc((size_t)argc + 1, sizeof(char *));
	auto_free const char **owners = calloc((size_t)argc + 1, sizeof(char *));
	struct request request = {
		.spec = {
			.format = PACK_GZIP,
			.epoch = INITRD_EPOCH,
			.note = main_say_note,
			.trees = trees,
			.modules = modules,
			.owners = owners,
		},
		.trees = trees,
		.modules = modules,
		.owners = owners,
	};

	if (!trees || !modules || !owners) {
		(void)fputs("tatami-initrd: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	return main_run(argc, argv, &request);
}

static void
main_say_note(const char *text, void *data)
{
	(void)data;
	(void)fprintf(stderr, "tatami-initrd: %s\n", text);
}

static int
main_build(const struct request *request, struct error *err)
{
	struct initrd_result result;

	if (initrd_build(&request->spec, &result, err) < 0)
		return -1;
	if (!request->quiet)
		(void)printf(
			"%s: %llu bytes (%llu uncompressed), %zu entries, %zu kernel modules\n",
			request->spec.output, (unsigned long long)result.size,
			(unsigned long long)result.raw_size, result.entries, result.modules);
	return 0;
}

static int
main_run(int argc, char **argv, struct request *request)
{
	struct error err = ERROR_INIT;
	int r, status = main_parse_args(argc, argv, request);

	if (status >= 0)
		return status;
	r = request->list ? initrd_list(request->list, stdout, &err) : main_build(request, &err);
	if (fflush(stdout) != 0 && r == 0)
		r = error_sys(&err, "failed to write the output");
	if (r == 0)
		return EXIT_DONE;
	(void)fprintf(stderr, "tatami-initrd: %s\n", err.msg);
	return EXIT_FAILED;
}

static int
main_check_request(struct request *request)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");

	if (request->list)
		return -1;
	if (!request->spec.output || !request->spec.init)
		return main_bad_usage("%s is missing",
				      request->spec.output ? "--init" : "--output");
	if ((request->n_modules || request->spec.no_default_modules) && !request->spec.modules_dir)
		return main_bad_usage("%s needs --modules DIR",
				      request->n_modules ? "--module" : "--no-default-modules");
	if (epoch && *epoch && !parse_u32(epoch, &request->spec.epoch))
		return main_bad_usage("invalid SOURCE_DATE_EPOCH %s: not seconds below 2^32",
				      epoch);
	return -1;
}

static int
main_parse_args(int argc, char **argv, struct request *request)
{
	int key, status = -1;

	while (status < 0 &&
	       (key = getopt_long(argc, argv, "o:i:a:t:m:c:l:qhV", options, NULL)) != -1)
		status = main_take_option(key, request);
	if (status >= 0)
		return status;
	if (optind < argc)
		return main_bad_usage("unexpected argument %s", argv[optind]);
	return main_check_request(request);
}

static bool
main_parse_size(const char *text, uint64_t *out)
{
	size_t len = strlen(text);
	char digits[24];
	uint64_t n, unit = 1;

	if (len && (text[len - 1] == 'K' || text[len - 1] == 'M'))
		unit = text[--len] == 'K' ? 1024 : 1024 * 1024;
	if (len >= sizeof(digits))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (!parse_u64(digits, &n) || n == 0 || n > UINT64_MAX / unit)
		return false;
	*out = n * unit;
	return true;
}

static int
main_take_option(int key, struct request *request)
{
	struct initrd_spec *spec = &request->spec;

	switch (key) {
	case 'o':
		spec->output = optarg;
		break;
	case 'i':
		spec->init = optarg;
		break;
	case 'a':
		spec->agent = optarg;
		break;
	case 't':
		request->trees[request->n_trees++] = optarg;
		break;
	case KEY_OWNER:
		request->owners[request->n_owners++] = optarg;
		break;
	case 'm':
		spec->modules_dir = optarg;
		break;
	case KEY_MODULE:
		request->modules[request->n_modules++] = optarg;
		break;
	case 'c':
		if (!pack_format_parse(optarg, &spec->format))
			return main_bad_usage(
				"invalid --compress %s: not none, gzip, zstd, xz or lz4", optarg);
		break;
	case KEY_MAX_SIZE:
		if (!main_parse_size(optarg, &spec->max_size))
			return main_bad_usage("invalid --max-size %s", optarg);
		break;
	case KEY_ARCH:
		spec->arch = optarg;
		break;
	case 'l':
		request->list = optarg;
		break;
	default:
		return main_take_flag(key, request);
	}
	return -1;
}

/* Handles options without a list. Returns -1 to continue, else the exit status. */
static int
main_take_flag(int key, struct request *request)
{
	switch (key) {
	case KEY_KEEP_INIT:
		request->spec.keep_init = true;
		break;
	case KEY_KEEP_OWNERS:
		request->spec.keep_owners = true;
		break;
	case KEY_NO_DEFAULT_MODULES:
		request->spec.no_default_modules = true;
		break;
	case KEY_MODULES_AS_IS:
		request->spec.modules_as_is = true;
		break;
	case 'q':
		request->quiet = true;
		break;
	case 'h':
		(void)fputs(help, stdout);
		return EXIT_DONE;
	case 'V':
		(void)printf("tatami-initrd %s (%s)\n", tatami_version, tatami_commit);
		return EXIT_DONE;
	default:
		/* getopt_long() has printed a message. */
		return EXIT_USAGE;
	}
	return -1;
}
