/* SPDX-License-Identifier: Apache-2.0 */
/*
 * squashfs: sqfstar makes it from a tar archive, which has the owners, nodes and attributes that an
 * ordinary user could not give to files. It takes all times from SOURCE_DATE_EPOCH.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/tarwrite.h"
#include "rootfs-builder/filesystem/filesystem.h"
#include "rootfs-builder/work/tool.h"

#define PACKAGE "squashfs-tools"

static int squashfs_make(struct build *build, const char *to, struct error *err);

const struct filesystem_kind filesystem_squashfs = {
	.name = "squashfs",
	.help = "read-only and the smallest; Kata has no option for it",
	.read_only = true,
	.root_flags = "",
	.magic_offset = 0,
	.magic_len = 4,
	.magic = { 'h', 's', 'q', 's' },
	.packs = 1u << PACK_GZIP | 1u << PACK_ZSTD | 1u << PACK_XZ | 1u << PACK_LZ4,
	.default_pack = PACK_ZSTD,
	.make = squashfs_make,
};

/* The file system knows three kinds of attributes, and sqfstar drops others silently. */
static void
squashfs_warn_of_losses(const struct build *build)
{
	static const char *const known[] = { "user.", "security.", "trusted." };
	const struct image_entry *first = NULL;
	size_t n = 0;

	for (size_t i = 0; i < build->image.n; i++) {
		const struct image_entry *entry = build->image.entries[i];

		for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
			bool is_known = false;

			for (size_t k = 0; k < ARRAY_LEN(known); k++)
				is_known |= !strncmp(x->name, known[k], strlen(known[k]));
			if (is_known)
				continue;
			first = first ? first : entry;
			n++;
		}
	}
	if (first)
		report_warn(build->report,
			    "squashfs has no ACLs: %zu were left out, of /%s for example", n,
			    first->path);
}

static int
squashfs_make(struct build *build, const char *to, struct error *err)
{
	static const char *const names[] = {
		[PACK_GZIP] = "gzip", [PACK_ZSTD] = "zstd", [PACK_XZ] = "xz", [PACK_LZ4] = "lz4"
	};
	auto_free char *archive = work_path(build->work, "squashfs.tar", err);
	/* The tool gives the root to the user who runs it, whatever its options say: with fakeroot
	 * this is root. */
	const char *argv[] = { "fakeroot",
			       "sqfstar",
			       "-quiet",
			       "-no-progress",
			       "-exit-on-error",
			       "-comp",
			       names[filesystem_pack(build)],
			       "-root-mode",
			       "0755",
			       to,
			       NULL };
	/* Reads the whole file system, and writes it nowhere. */
	const char *check_argv[] = { "unsquashfs", "-quiet", "-no-progress", "-pf", "/dev/null",
				     to,           NULL };
	struct tool tool = { .argv = argv, .package = "fakeroot", .epoch = build->spec->epoch };
	const struct tool check = { .argv = check_argv,
				    .package = PACKAGE,
				    .epoch = build->spec->epoch };
	auto_close int in = -1;

	if (!archive || tool_need(argv[1], PACKAGE, err) < 0 ||
	    tar_write_file(build, archive, PACK_NONE, NULL, err) < 0)
		return -1;
	squashfs_warn_of_losses(build);
	in = open(archive, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return error_sys(err, "failed to open %s", archive);
	tool.in = in;
	if (tool_run(&tool, err) < 0)
		return -1;
	(void)unlink(archive);
	report_step(build->report, "checking the file system");
	return tool_run(&check, err) < 0 ? -1 : filesystem_resize(build, to, err);
}
