/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl images, pull, rmi: the cache of images. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/image/cache.h"
#include "ctl/json/json.h"
#include "ctl/vm/find.h"
#include "lib/cleanup.h"

static const char images_usage[] =
	"usage: tatamictl images [-q | --json]\n"
	"Lists the images that were unpacked: the beginning of the digest of each, its size on\n"
	"the disk, when it was unpacked, whether a VM uses it, and its names and files.\n"
	"\n"
	"  -q, --quiet  only the digests\n"
	"  --json       an array of objects\n"
	"  -h, --help   print this\n";
static const char pull_usage[] =
	"usage: tatamictl pull [-q] [--arch x86_64|aarch64] NAME...\n"
	"Downloads images with skopeo and unpacks them, for `tatamictl run NAME`. A NAME is that\n"
	"of a registry (alpine, quay.io/fedora/fedora:40) or begins with a transport of skopeo\n"
	"(docker://, docker-daemon:, containers-storage:). Prints the digest of each.\n"
	"\n"
	"  --arch x86_64|aarch64  architecture of the image (default: this machine's)\n"
	"  -q, --quiet            without skopeo's progress\n"
	"  -h, --help             print this\n";
static const char rmi_usage[] =
	"usage: tatamictl rmi NAME|FILE|DIGEST...\n"
	"       tatamictl rmi --all\n"
	"Removes images from the cache, --all every one that no VM uses. The archives and layouts\n"
	"they come from are left alone.\n"
	"\n"
	"  -a, --all   every one that no VM uses\n"
	"  -h, --help  print this\n";

/* Reports a failure of a command. */
static int
images_fail(const char *command, const struct error *err)
{
	(void)fprintf(stderr, "tatamictl %s: %s\n", command, err->msg);
	return err->code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

static void
images_print(const struct cache_row *row, void *data)
{
	time_t created = (time_t)row->created;
	char when[32] = "";
	const char *name = row->names;
	struct tm tm;

	(void)data;
	if (localtime_r(&created, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	(void)printf("%-12.12s %6llu.%llu MiB  %-16s  %-6s %s", row->digest + 7,
		     (unsigned long long)(row->size >> 20),
		     (unsigned long long)((row->size & 0xfffff) * 10 >> 20), when,
		     row->in_use ? "in use" : "", *name ? "" : "(none)");
	for (; *name; name++) {
		if (*name == '\n')
			(void)fputs(", ", stdout);
		else
			(void)putchar(*name);
	}
	(void)putchar('\n');
}

static void
images_print_digest(const struct cache_row *row, void *data)
{
	(void)data;
	(void)printf("%s\n", row->digest);
}

static void
images_collect(const struct cache_row *row, void *data)
{
	char names[sizeof(row->names)], *rest = names, *name;
	json_t *list = json_array();

	(void)snprintf(names, sizeof(names), "%s", row->names);
	while ((name = strsep(&rest, "\n")))
		if (*name)
			(void)json_array_append_new(list, json_from_text(name));
	(void)json_array_append_new(
		data, json_pack("{s:s, s:o, s:I, s:I, s:b}", "digest", row->digest, "names", list,
				"size", (json_int_t)row->size, "created", (json_int_t)row->created,
				"inUse", (int)row->in_use));
}

int
cmd_images(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	bool as_json = false, is_quiet = false;
	const struct command_option options[] = {
		{ "json", .flag = &as_json },
		{ "quiet", 'q', .flag = &is_quiet },
	};
	const struct command_line line = { .usage = images_usage,
					   .options = options,
					   .n_options = ARRAY_LEN(options) };
	json_t *list = NULL;
	int r, first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	if (as_json)
		list = json_array();
	else if (!is_quiet)
		(void)printf("%-12s %12s  %-16s  %-6s %s\n", "DIGEST", "SIZE", "UNPACKED", "",
			     "NAMES");
	r = cache_for_each(list       ? images_collect
			   : is_quiet ? images_print_digest
				      : images_print,
			   list, &err);
	if (list && r == 0) {
		(void)json_dumpf(list, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	}
	json_decref(list);
	return r < 0 ? images_fail("images", &err) : 0;
}

int
cmd_pull(int argc, char **argv)
{
	enum vm_arch arch = VM_X86_64;
	bool is_quiet = false;
	const struct command_option options[] = {
		{ "arch", .arch = &arch },
		{ "quiet", 'q', .flag = &is_quiet },
	};
	const struct command_line line = {
		.usage = pull_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 1,
		.operands_max = argc,
	};
	struct error err = ERROR_INIT;
	struct utsname here;
	int first;

	if (uname(&here) == 0)
		(void)find_arch(here.machine, &arch);
	first = command_line_read(&line, argc, argv);
	if (first <= 0)
		return -first;
	if (is_quiet)
		cache_be_quiet();
	for (int i = first; i < argc; i++) {
		struct cached image = { .lock = -1 };

		if (cache_pull(argv[i], find_arch_name(arch), &image, &err) < 0)
			return images_fail("pull", &err);
		close_fd(&image.lock);
		(void)printf("%s\n", image.digest);
	}
	return 0;
}

int
cmd_rmi(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	bool all = false;
	const struct command_option options[] = { { "all", 'a', .flag = &all } };
	const struct command_line line = {
		.usage = rmi_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_max = argc,
	};
	int n, first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	if ((first < argc) == all) {
		(void)fputs(rmi_usage, stderr);
		return EXIT_USAGE;
	}
	if (all) {
		n = cache_prune(&err);
		if (n < 0)
			return images_fail("rmi", &err);
		(void)printf("%d removed\n", n);
		return 0;
	}
	for (int i = first; i < argc; i++)
		if (cache_remove(argv[i], &err) < 0)
			return images_fail("rmi", &err);
	return 0;
}
