/* SPDX-License-Identifier: Apache-2.0 */
/* tatami-rootfs: command-line program for build.h. */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "lib/version.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/elffile.h"
#include "rootfs-builder/initrd.h"

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
};

/* The tables of additions, outputs and inputs are printed between these. */
static const char help_head[] =
	"usage: tatami-rootfs -o OUTPUT [OPTION...]\n"
	"Makes the root file system or initrd of a guest. Needs no privilege; the same input\n"
	"gives the same bytes.\n"
	"\n"
	"  -o, --output FILE        what to make; replaced only on success\n"
	"  -f, --format KIND        its form (default: initrd)\n"
	"  -F, --from KIND:SOURCE   an input; a later one replaces files of earlier ones\n"
	"  -i, --init PROGRAM       the static tatami (default: the one next to this program)\n"
	"  -a, --agent PROGRAM      another agent for /usr/bin/kata-agent\n"
	"      --keep-init          keep /sbin/init of the input (systemd)\n"
	"      --rootfs-only        add no programs and files of ours: a root for containers\n"
	"      --keep-owners        keep the owners of files in directories (default: root)\n"
	"  -m, --modules DIR        add kernel modules from DIR, a .../lib/modules/RELEASE\n"
	"      --module NAME        add one more module, \"NAME PARAMETERS\"\n"
	"      --no-default-modules  add only modules named with --module\n"
	"      --modules-as-is      leave compressed modules compressed\n"
	"      --arch ARCH          x86_64, aarch64 or riscv64 (default: that of this machine)\n"
	"      --epoch SECONDS      time of all files (default: SOURCE_DATE_EPOCH, or 2025)\n"
	"      --max-size N         fail if the result is larger (suffixes K, M, G)\n"
	"      --no-sbom            write no bill of materials (OUTPUT.spdx.json)\n"
	"      --json               print the result as JSON\n"
	"  -q, --quiet              print warnings and errors only\n"
	"  -h, --help   -V, --version\n"
	"\n"
	"Additions, in the order given:\n";
static const char help_outputs[] =
	"  -c, --compress HOW       none, gzip (default; any kernel unpacks it), zstd, xz, lz4\n"
	"      --filesystem TYPE    of a disk: ext4, erofs, squashfs or xfs\n"
	"      --partitions TABLE   of a disk: none, mbr or gpt\n"
	"      --verity             add a dm-verity hash tree\n"
	"      --dax                add the header for an NVDIMM with DAX\n"
	"      --size N   --free N   --align N   size of a disk, free space, multiple\n";
static const char help_inputs[] =
	"      --package NAME       add a package (debian)\n"
	"      --mirror URL         a mirror, or a line of sources.list (debian)\n"
	"      --no-prune           keep documentation, translations and the like (debian)\n"
	"      --refresh            read package lists that are less than a day old, too (debian)\n"
	"      --offline            use the cache only\n"
	"      --cache DIR          directory for downloads (default: ~/.cache/tatami)\n"
	"\n"
	"Exit status: 0 success, 1 failure, 2 invalid usage.\n";

enum option_key {
	KEY_KEEP_INIT = 256,
	KEY_KEEP_OWNERS,
	KEY_MODULE,
	KEY_NO_DEFAULT_MODULES,
	KEY_MODULES_AS_IS,
	KEY_MAX_SIZE,
	KEY_ARCH,
	KEY_EPOCH,
	KEY_FILESYSTEM,
	KEY_PARTITIONS,
	KEY_VERITY,
	KEY_DAX,
	KEY_SIZE,
	KEY_FREE,
	KEY_ALIGN,
	KEY_PACKAGE,
	KEY_MIRROR,
	KEY_OFFLINE,
	KEY_CACHE,
	KEY_REFRESH,
	KEY_NO_PRUNE,
	KEY_ROOTFS_ONLY,
	KEY_NO_SBOM,
	KEY_JSON,
	/* Row 0 of additions[]. */
	KEY_ADDITION = 1000,
};

static const struct option fixed_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "format", required_argument, NULL, 'f' },
	{ "from", required_argument, NULL, 'F' },
	{ "init", required_argument, NULL, 'i' },
	{ "agent", required_argument, NULL, 'a' },
	{ "keep-init", no_argument, NULL, KEY_KEEP_INIT },
	{ "keep-owners", no_argument, NULL, KEY_KEEP_OWNERS },
	{ "modules", required_argument, NULL, 'm' },
	{ "module", required_argument, NULL, KEY_MODULE },
	{ "no-default-modules", no_argument, NULL, KEY_NO_DEFAULT_MODULES },
	{ "modules-as-is", no_argument, NULL, KEY_MODULES_AS_IS },
	{ "arch", required_argument, NULL, KEY_ARCH },
	{ "epoch", required_argument, NULL, KEY_EPOCH },
	{ "max-size", required_argument, NULL, KEY_MAX_SIZE },
	{ "compress", required_argument, NULL, 'c' },
	{ "filesystem", required_argument, NULL, KEY_FILESYSTEM },
	{ "partitions", required_argument, NULL, KEY_PARTITIONS },
	{ "verity", no_argument, NULL, KEY_VERITY },
	{ "dax", no_argument, NULL, KEY_DAX },
	{ "size", required_argument, NULL, KEY_SIZE },
	{ "free", required_argument, NULL, KEY_FREE },
	{ "align", required_argument, NULL, KEY_ALIGN },
	{ "package", required_argument, NULL, KEY_PACKAGE },
	{ "mirror", required_argument, NULL, KEY_MIRROR },
	{ "offline", no_argument, NULL, KEY_OFFLINE },
	{ "cache", required_argument, NULL, KEY_CACHE },
	{ "refresh", no_argument, NULL, KEY_REFRESH },
	{ "no-prune", no_argument, NULL, KEY_NO_PRUNE },
	{ "rootfs-only", no_argument, NULL, KEY_ROOTFS_ONLY },
	{ "no-sbom", no_argument, NULL, KEY_NO_SBOM },
	{ "json", no_argument, NULL, KEY_JSON },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
};

/* The parsed command line. Each list has room for all arguments. */
struct request {
	struct build_spec spec;
	struct build_input *inputs;
	struct addition *additions;
	const char **packages, **mirrors, **modules;
	size_t n_packages, n_mirrors, n_modules;
	/* Chosen by the program itself. */
	char *init, *cache;
	char machine[sizeof(((struct utsname *)0)->machine)];
	enum report_mode mode;
};

static int main_bad_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int main_parse(int argc, char **argv, struct request *request);
static int main_take_option(int key, struct request *request);
static int main_take_flag(int key, struct request *request);
static int main_add_input(const char *value, struct request *request);
static int main_complete(struct request *request);
static int main_find_init(struct request *request);
static int main_build(const struct request *request);
static void main_print_help(void);

int
main(int argc, char **argv)
{
	size_t n = (size_t)argc + 1;
	struct request request = { .spec = { .epoch = INITRD_EPOCH, .compress = PACK_GZIP } };
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
	request.inputs = calloc(n, sizeof(*request.inputs));
	request.additions = calloc(n, sizeof(*request.additions));
	request.packages = calloc(n, sizeof(char *));
	request.mirrors = calloc(n, sizeof(char *));
	request.modules = calloc(n, sizeof(char *));
	if (request.inputs && request.additions && request.packages && request.mirrors &&
	    request.modules) {
		status = main_parse(argc, argv, &request);
		if (status < 0)
			status = main_complete(&request);
		if (status < 0)
			status = main_build(&request);
	} else {
		(void)fputs("tatami-rootfs: out of memory\n", stderr);
		status = EXIT_FAILED;
	}
	free(request.inputs);
	free(request.additions);
	free(request.packages);
	free(request.mirrors);
	free(request.modules);
	free(request.init);
	free(request.cache);
	return status;
}

static int
main_bad_usage(const char *format, ...)
{
	va_list ap;

	(void)fprintf(stderr, "tatami-rootfs: ");
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fprintf(stderr, "; try tatami-rootfs --help\n");
	return EXIT_USAGE;
}

/* Returns -1 to continue, else the exit status. */
static int
main_parse(int argc, char **argv, struct request *request)
{
	size_t n_fixed = ARRAY_LEN(fixed_options), n = 0;
	auto_free struct option *options = NULL;
	int key, status = -1;

	while (additions[n].option)
		n++;
	options = calloc(n_fixed + n + 1, sizeof(*options));
	if (!options) {
		(void)fputs("tatami-rootfs: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	memcpy(options, fixed_options, sizeof(fixed_options));
	for (size_t i = 0; i < n; i++)
		options[n_fixed + i] = (struct option){ additions[i].option, required_argument,
							NULL, KEY_ADDITION + (int)i };
	while (status < 0 &&
	       (key = getopt_long(argc, argv, "o:f:F:i:a:m:c:qhV", options, NULL)) != -1) {
		if (key >= KEY_ADDITION)
			request->additions[request->spec.n_additions++] =
				(struct addition){ &additions[key - KEY_ADDITION], optarg };
		else
			status = main_take_option(key, request);
	}
	if (status < 0 && optind < argc)
		return main_bad_usage("unexpected argument %s", argv[optind]);
	return status;
}

/* Parses a number of bytes with an optional suffix K, M or G. */
static bool
main_parse_size(const char *text, uint64_t *out)
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

static int
main_take_size(const char *name, uint64_t *out)
{
	if (!main_parse_size(optarg, out))
		return main_bad_usage("invalid --%s %s: not a number of bytes (suffixes K, M, G)",
				      name, optarg);
	return -1;
}

static int
main_take_option(int key, struct request *request)
{
	struct build_spec *spec = &request->spec;

	switch (key) {
	case 'o':
		spec->output = optarg;
		return -1;
	case 'f':
		for (size_t i = 0; output_kinds[i]; i++) {
			if (!strcmp(output_kinds[i]->name, optarg))
				spec->format = output_kinds[i];
		}
		if (!spec->format || strcmp(spec->format->name, optarg) != 0)
			return main_bad_usage("invalid --format %s", optarg);
		return -1;
	case 'F':
		return main_add_input(optarg, request);
	case 'i':
		spec->init = optarg;
		return -1;
	case 'a':
		spec->agent = optarg;
		return -1;
	case 'm':
		spec->modules_dir = optarg;
		return -1;
	case KEY_MODULE:
		request->modules[request->n_modules++] = optarg;
		return -1;
	case KEY_ARCH:
		spec->arch = optarg;
		return -1;
	case KEY_EPOCH:
		return parse_u32(optarg, &spec->epoch)
			       ? -1
			       : main_bad_usage("invalid --epoch %s: not a number of seconds",
						optarg);
	case 'c':
		spec->has_compress = true;
		return pack_format_parse(optarg, &spec->compress)
			       ? -1
			       : main_bad_usage("invalid --compress %s", optarg);
	case KEY_MAX_SIZE:
		return main_take_size("max-size", &spec->max_size);
	case KEY_SIZE:
		return main_take_size("size", &spec->size);
	case KEY_FREE:
		return main_take_size("free", &spec->free_space);
	case KEY_ALIGN:
		return main_take_size("align", &spec->align);
	case KEY_FILESYSTEM:
		spec->filesystem = optarg;
		return -1;
	case KEY_PARTITIONS:
		spec->partitions = optarg;
		return -1;
	case KEY_PACKAGE:
		request->packages[request->n_packages++] = optarg;
		return -1;
	case KEY_MIRROR:
		request->mirrors[request->n_mirrors++] = optarg;
		return -1;
	case KEY_CACHE:
		spec->cache = optarg;
		return -1;
	default:
		return main_take_flag(key, request);
	}
}

static int
main_take_flag(int key, struct request *request)
{
	switch (key) {
	case KEY_KEEP_INIT:
		request->spec.keep_init = true;
		return -1;
	case KEY_KEEP_OWNERS:
		request->spec.keep_owners = true;
		return -1;
	case KEY_NO_DEFAULT_MODULES:
		request->spec.no_default_modules = true;
		return -1;
	case KEY_MODULES_AS_IS:
		request->spec.modules_as_is = true;
		return -1;
	case KEY_VERITY:
		request->spec.verity = true;
		return -1;
	case KEY_DAX:
		request->spec.dax = true;
		return -1;
	case KEY_OFFLINE:
		request->spec.offline = true;
		return -1;
	case KEY_REFRESH:
		request->spec.refresh = true;
		return -1;
	case KEY_NO_PRUNE:
		request->spec.no_prune = true;
		return -1;
	case KEY_ROOTFS_ONLY:
		request->spec.rootfs_only = true;
		return -1;
	case KEY_NO_SBOM:
		request->spec.no_sbom = true;
		return -1;
	case KEY_JSON:
		request->mode = REPORT_JSON;
		return -1;
	case 'q':
		request->mode = REPORT_QUIET;
		return -1;
	case 'h':
		main_print_help();
		return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
	case 'V':
		(void)printf("tatami-rootfs %s (%s)\n", tatami_version, tatami_commit);
		return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
	default:
		/* getopt_long() has printed a message. */
		return EXIT_USAGE;
	}
}

/* Takes "KIND[:SOURCE]", or a SOURCE whose kind can be seen. */
static int
main_add_input(const char *value, struct request *request)
{
	struct build_input *input = &request->inputs[request->spec.n_inputs];
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);

	for (size_t i = 0; input_kinds[i]; i++) {
		const struct input_kind *kind = input_kinds[i];

		if (strlen(kind->name) != len || strncmp(kind->name, value, len) != 0)
			continue;
		if (kind->has_no_source ? colon != NULL : !colon || !colon[1])
			continue;
		*input = (struct build_input){ kind, colon ? colon + 1 : NULL };
		request->spec.n_inputs++;
		return -1;
	}
	for (size_t i = 0; input_kinds[i]; i++) {
		if (!input_kinds[i]->recognizes || !input_kinds[i]->recognizes(value))
			continue;
		*input = (struct build_input){ input_kinds[i], value };
		request->spec.n_inputs++;
		return -1;
	}
	if (!colon && access(value, F_OK) < 0) {
		(void)fprintf(stderr, "tatami-rootfs: --from %s: no such input or file\n", value);
		return EXIT_FAILED;
	}
	return main_bad_usage("invalid --from %s: not KIND:SOURCE, nor a file of a known kind",
			      value);
}

/* Sets the default of the cache directory, if there is one. */
static int
main_find_cache(struct request *request)
{
	const char *cache = getenv("TATAMI_CACHE"), *home = getenv("HOME");

	if (cache && *cache) {
		request->spec.cache = cache;
		return 0;
	}
	if (!home || !*home)
		return 0;
	if (asprintf(&request->cache, "%s/.cache/tatami", home) < 0) {
		request->cache = NULL;
		(void)fputs("tatami-rootfs: out of memory\n", stderr);
		return -1;
	}
	request->spec.cache = request->cache;
	return 0;
}

/* Sets what was not given. */
static int
main_complete(struct request *request)
{
	struct build_spec *spec = &request->spec;
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	struct error err = ERROR_INIT;
	struct utsname here;

	if (!spec->output || !*spec->output)
		return main_bad_usage("no --output");
	if (epoch && spec->epoch == INITRD_EPOCH && !parse_u32(epoch, &spec->epoch))
		return main_bad_usage("invalid SOURCE_DATE_EPOCH %s: not a number of seconds",
				      epoch);
	if (!spec->arch && uname(&here) == 0) {
		memcpy(request->machine, here.machine, sizeof(request->machine));
		spec->arch = request->machine;
	}
	if (elf_machine(spec->arch, &spec->machine, &err) < 0)
		return main_bad_usage("%s", err.msg);
	if (!spec->format)
		spec->format = output_kinds[0];
	if (!spec->filesystem)
		spec->filesystem = "ext4";
	if (!spec->partitions)
		spec->partitions = "mbr";
	spec->inputs = request->inputs;
	spec->additions = request->additions;
	spec->packages = request->packages;
	spec->mirrors = request->n_mirrors ? request->mirrors : NULL;
	spec->modules = request->modules;
	if (!spec->cache && main_find_cache(request) < 0)
		return EXIT_FAILED;
	if (!spec->init && !spec->rootfs_only && main_find_init(request) < 0) {
		(void)fputs("tatami-rootfs: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	if (!spec->init && !spec->rootfs_only)
		return main_bad_usage("no --init, and no program tatami next to this one");
	return -1;
}

/* Looks for the program as it lies in a build, and as `make install` puts it. */
static int
main_find_init(struct request *request)
{
	static const char *const places[] = { "tatami", "../lib/tatami/tatami" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = '\0';
	if (strrchr(self, '/'))
		*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < ARRAY_LEN(places) && !request->spec.init; i++) {
		free(steal_ptr(&request->init));
		if (asprintf(&request->init, "%s/%s", self, places[i]) < 0) {
			request->init = NULL;
			return -1;
		}
		if (access(request->init, R_OK) == 0)
			request->spec.init = request->init;
	}
	return 0;
}

static int
main_build(const struct request *request)
{
	struct report *report = report_new(request->mode, "tatami-rootfs");
	struct error err = ERROR_INIT;
	int r, printed;

	if (!report) {
		(void)fputs("tatami-rootfs: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	r = build_run(&request->spec, report, &err);
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

static void
main_print_row(const char *name, const char *help)
{
	if (strlen(name) <= 24)
		(void)printf("  %-24s %s\n", name, help);
	else
		(void)printf("  %s\n  %-24s %s\n", name, "", help);
}

static void
main_print_help(void)
{
	(void)fputs(help_head, stdout);
	for (size_t i = 0; additions[i].option; i++) {
		char name[80];

		(void)snprintf(name, sizeof(name), "--%s %s", additions[i].option,
			       additions[i].argument);
		main_print_row(name, additions[i].help);
	}
	(void)fputs("\nOutputs (--format):\n", stdout);
	for (size_t i = 0; output_kinds[i]; i++)
		main_print_row(output_kinds[i]->name, output_kinds[i]->help);
	(void)fputs(help_outputs, stdout);
	(void)fputs("\nInputs (--from):\n", stdout);
	for (size_t i = 0; input_kinds[i]; i++)
		main_print_row(input_kinds[i]->name, input_kinds[i]->help);
	(void)fputs(help_inputs, stdout);
}
