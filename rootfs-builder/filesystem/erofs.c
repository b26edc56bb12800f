/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erofs: mkfs.erofs takes owners, device nodes and attributes from a directory, which fakeroot lets
 * an ordinary user make: everything that needs root is remembered in a process instead of on disk.
 * Versions from 1.7 read an archive, but Debian 12 has 1.5.
 */
#include <stdio.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/tarwrite.h"
#include "rootfs-builder/filesystem/filesystem.h"
#include "rootfs-builder/work/tool.h"

#define PACKAGE "erofs-utils"
/* Arguments: an archive, a file of attributes for setfattr, the directory to make, and a program.
 * The script appears to run as root, but the kernel refuses it files without permissions: chmod
 * grants them to the user and stores the mode of the file for the program. fakeroot loses the type
 * of a file if its attributes are set before its owner. */
static const char erofs_script[] =
	"set -e\n"
	"archive=$1 attributes=$2 tree=$3\n"
	"shift 3\n"
	"mkdir \"$tree\"\n"
	"tar -x -p --same-owner --numeric-owner -C \"$tree\" -f \"$archive\"\n"
	"cd \"$tree\"\n"
	"find . -type f ! -perm -600 -exec sh -c '\n"
	"	for f; do chmod \"$(stat -c %a \"$f\")\" \"$f\"; done' sh {} +\n"
	"if [ -s \"$attributes\" ]; then\n"
	"	find . -uid 0 -gid 0 -exec chown -h 0:0 {} +\n"
	"	setfattr -h --restore=\"$attributes\"\n"
	"fi\n"
	"exec \"$@\"\n";

static int erofs_make(struct build *build, const char *to, struct error *err);
static int erofs_write_attributes(const struct build *build, const char *path, struct error *err);
static int erofs_format(struct build *build, const char *archive, const char *attributes,
			const char *to, struct error *err);

const struct filesystem_kind filesystem_erofs = {
	.name = "erofs",
	.help = "read-only, small and fast",
	.read_only = true,
	.has_dax = true,
	.root_flags = "",
	.magic_offset = 1024,
	.magic_len = 4,
	.magic = { 0xe2, 0xe1, 0xf5, 0xe0 },
	.packs = 1u << PACK_NONE | 1u << PACK_LZ4,
	.default_pack = PACK_NONE,
	.make = erofs_make,
};

static int
erofs_make(struct build *build, const char *to, struct error *err)
{
	const char *check[] = { "fsck.erofs", "--extract", to, NULL };
	const struct tool fsck = { .argv = check, .package = PACKAGE, .epoch = build->spec->epoch };
	auto_free char *archive = work_path(build->work, "erofs.tar", err);
	auto_free char *attributes =
		archive ? work_path(build->work, "erofs.attributes", err) : NULL;

	if (!attributes || tool_need("mkfs.erofs", PACKAGE, err) < 0 ||
	    tool_need(check[0], PACKAGE, err) < 0 ||
	    tar_write_file(build, archive, PACK_NONE, NULL, err) < 0 ||
	    erofs_write_attributes(build, attributes, err) < 0 ||
	    erofs_format(build, archive, attributes, to, err) < 0)
		return -1;
	report_step(build->report, "checking the file system");
	return tool_run(&fsck, err) < 0 ? -1 : filesystem_resize(build, to, err);
}

/* Writes the attributes of an entry as getfattr(1) prints them. */
static void
erofs_put_attributes(FILE *file, const struct image_entry *entry)
{
	(void)fputs("# file: ", file);
	for (const char *c = entry->path; *c; c++)
		(void)fprintf(file, *c == '\\' ? "\\134" : "%c", *c);
	(void)putc('\n', file);
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
		(void)fprintf(file, "%s=0x", x->name);
		for (size_t i = 0; i < x->n; i++)
			(void)fprintf(file, "%02x", x->value[i]);
		(void)putc('\n', file);
	}
	(void)putc('\n', file);
}

static int
erofs_write_attributes(const struct build *build, const char *path, struct error *err)
{
	FILE *file = fopen(path, "we");
	bool any = false;

	if (!file)
		return error_sys(err, "failed to create %s", path);
	for (size_t i = 0; i < build->image.n; i++) {
		const struct image_entry *entry = build->image.entries[i];

		if (entry->xattrs)
			erofs_put_attributes(file, entry);
		any = any || entry->xattrs;
	}
	if (fclose(file) != 0)
		return error_sys(err, "failed to write %s", path);
	return any ? tool_need("setfattr", "attr", err) : 0;
}

static int
erofs_format(struct build *build, const char *archive, const char *attributes, const char *to,
	     struct error *err)
{
	char uuid[37], epoch[16];
	const char *argv[24] = { "fakeroot", "sh",       "-c", erofs_script, "sh",
				 archive,    attributes, NULL, "mkfs.erofs", "--quiet",
				 "-T",       epoch,      "-U", uuid };
	const struct tool tool = { .argv = argv,
				   .package = "fakeroot",
				   .epoch = build->spec->epoch };
	auto_free char *tree = work_path(build->work, "erofs.tree", err);
	size_t n = 14;

	if (!tree)
		return -1;
	argv[7] = tree;
	build_uuid(build, "filesystem-uuid", uuid);
	(void)snprintf(epoch, sizeof(epoch), "%u", build->spec->epoch);
	/* The kernel maps no file whose last part follows its inode. */
	if (build->spec->dax)
		argv[n++] = "-Enoinline_data";
	if (filesystem_pack(build) == PACK_LZ4) {
		argv[n++] = "-zlz4hc";
		argv[n++] = "-C65536";
	}
	argv[n++] = to;
	argv[n++] = tree;
	return tool_run(&tool, err);
}
