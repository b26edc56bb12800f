/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xfs: mkfs.xfs makes it from a prototype, a list of entries with owner, permissions and content.
 * xfs_db then executes a script with the rest: times, generation numbers, further bits of the mode,
 * extended attributes, and targets of symlinks with spaces. Formats: mkfs.xfs(8), xfs_db(8).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/filesystem/filesystem.h"
#include "rootfs-builder/work/tool.h"

#define PACKAGE "xfsprogs"
#define MIB     ((uint64_t)1 << 20)
#define BLOCK   ((uint64_t)4096)
/* mkfs.xfs refuses a smaller one. */
#define SMALLEST (300 * MIB)
/* Factor up to which the size grows if mkfs.xfs runs out of space. */
#define SIZE_RETRY 8
#define LOG        (64 * MIB)
#define INODE_SIZE 512
/* A longer target of a symlink has a block of its own. */
#define LONGEST_LINK 336
/* Times are stored as nanoseconds since 2^31 seconds before 1970. */
#define TIME_OFFSET (UINT64_C(1) << 31)

/* An ACL as an attribute of the kernel's interface and in xfs, which has at most 25 entries where
 * the attributes are in the inode. */
#define ACL_HEADER     ((size_t)4)
#define ACL_ENTRY      ((size_t)8)
#define XFS_ACL_HEADER ((size_t)4)
#define XFS_ACL_ENTRY  ((size_t)12)
#define XFS_ACL_MAX    (XFS_ACL_HEADER + 25 * XFS_ACL_ENTRY)

static const struct {
	const char *name, *stored;
} acl_names[] = {
	{ "system.posix_acl_access", "SGI_ACL_FILE" },
	{ "system.posix_acl_default", "SGI_ACL_DEFAULT" },
};

/* The commands of xfs_db, and the number of inodes that they change. */
struct script {
	const struct build *build;
	FILE *file;
	size_t n_inodes;
};

/* The first message of xfs_db that is not "FIELD = VALUE", and the entry that it belongs to. */
struct complaint {
	char path[256], text[256];
};

static int xfs_make(struct build *build, const char *to, struct error *err);
static int xfs_format(const struct tool *tool, const char *to, uint64_t size, uint64_t limit,
		      struct error *err);
static uint64_t xfs_size(const struct build *build);
static int xfs_write_prototype(struct build *build, const char *path, struct error *err);
static int xfs_put_entry(struct build *build, FILE *file, size_t i, struct error *err);
static int xfs_correct(struct build *build, const char *path, struct error *err);
static int xfs_write_script(struct script *script, struct error *err);
static int xfs_check_output(const struct script *script, FILE *output, struct complaint *complaint,
			    struct error *err);

const struct filesystem_kind filesystem_xfs = {
	.name = "xfs",
	.help = "writable; at least 300 MiB, which a file with holes does not occupy",
	.has_dax = true,
	.root_flags = "",
	.magic_offset = 0,
	.magic_len = 4,
	.magic = { 'X', 'F', 'S', 'B' },
	.packs = 1u << PACK_NONE,
	.default_pack = PACK_NONE,
	.make = xfs_make,
};

static int
xfs_make(struct build *build, const char *to, struct error *err)
{
	uint64_t size = build->spec->size ? build->spec->size : xfs_size(build);
	auto_free char *prototype = work_path(build->work, "xfs.prototype", err);
	char uuid[37], checksums[96];
	/* Options whose defaults depend on the version or the host. DAX excludes shared extents. */
	const char *argv[] = { "mkfs.xfs", "-qf", "-Ltatami-root", "-bsize=4096",
			       /* The device that checks a hash tree has sectors of this size. */
			       build->spec->verity ? "-ssize=4096" : "-ssize=512", "-dnoalign",
			       "-isize=512,sparse=1,nrext64=0", checksums, "-p", prototype, to,
			       NULL };
	const char *check_argv[] = { "xfs_repair", "-n", "-f", to, NULL };
	struct tool tool = { .argv = argv,
			     .package = PACKAGE,
			     .epoch = build->spec->epoch,
			     .dir = work_dir(build->work) };
	const struct tool check = { .argv = check_argv,
				    .package = PACKAGE,
				    .epoch = build->spec->epoch };

	if (!prototype || tool_need(argv[0], PACKAGE, err) < 0 ||
	    tool_need("xfs_db", PACKAGE, err) < 0)
		return -1;
	if (size < SMALLEST)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "invalid size of %llu bytes: xfs needs 300 MiB",
				 (unsigned long long)size);
	build_uuid(build, "filesystem-uuid", uuid);
	(void)snprintf(checksums, sizeof(checksums), "-mcrc=1,bigtime=1,reflink=0,rmapbt=0,uuid=%s",
		       uuid);
	if (xfs_write_prototype(build, prototype, err) < 0 ||
	    xfs_format(&tool, to, size, build->spec->size ? size : size * SIZE_RETRY, err) < 0 ||
	    filesystem_check_sources(build, err) < 0 || xfs_correct(build, to, err) < 0)
		return -1;
	report_step(build->report, "checking the file system");
	return tool_run(&check, err);
}

/* Runs mkfs.xfs on a file of this size. The program fills one allocation group before the others,
 * and may run out of space in it: then the size is doubled, up to a limit. */
static int
xfs_format(const struct tool *tool, const char *to, uint64_t size, uint64_t limit,
	   struct error *err)
{
	for (;; size *= 2) {
		auto_close int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
			return error_sys(err, "failed to create %s", to);
		if (tool_run(tool, err) == 0)
			return 0;
		/* The new file system is full, not the one that holds the file. */
		if (!strstr(err->msg, "[28 - No space left on device]"))
			return -1;
		if (size > limit / 2)
			return error_set(err, ERROR_RESOURCE_EXHAUSTED,
					 "%llu bytes are too few for the content",
					 (unsigned long long)size);
	}
}

static uint64_t
xfs_size(const struct build *build)
{
	uint64_t size = LOG + 8 * MIB + build->spec->free_space;

	for (size_t i = 0; i < build->image.n; i++) {
		const struct image_entry *entry = build->image.entries[i];

		size += INODE_SIZE + 64 + strlen(entry->path);
		if (!S_ISLNK(entry->mode) || entry->size > LONGEST_LINK)
			size += filesystem_round(entry->size, BLOCK);
		if (S_ISDIR(entry->mode))
			size += BLOCK;
	}
	size = filesystem_round(size + size / 50, MIB);
	return size < SMALLEST ? SMALLEST : size;
}

static int
xfs_compare_paths(const void *a, const void *b, void *data)
{
	const struct image *image = data;
	const char *x = image->entries[*(const size_t *)a]->path;
	const char *y = image->entries[*(const size_t *)b]->path;

	while (*x && *x == *y)
		x++, y++;
	/* No other character of a path is less than a space. */
	return (*x == '/' ? 1 : (unsigned char)*x) - (*y == '/' ? 1 : (unsigned char)*y);
}

/* A directory is followed by what is in it, and that by "$". */
static int
xfs_write_prototype(struct build *build, const char *path, struct error *err)
{
	const struct image *image = &build->image;
	auto_free size_t *order = calloc(image->n + 1, sizeof(*order));
	FILE *file = order ? fopen(path, "we") : NULL;
	size_t open_dirs = 0;
	int r = 0;

	if (!order)
		return error_nomem(err, "making a file system");
	if (!file)
		return error_sys(err, "failed to create %s", path);
	for (size_t i = 0; i < image->n; i++)
		order[i] = i;
	qsort_r(order, image->n, sizeof(*order), xfs_compare_paths, (void *)image);
	(void)fputs("-\n0 0\nd--755 0 0\n", file);
	for (size_t i = 0; i < image->n && r == 0; i++) {
		const struct image_entry *entry = image->entries[order[i]];
		size_t depth = 0;

		for (const char *c = entry->path; *c; c++)
			depth += *c == '/';
		for (; open_dirs > depth; open_dirs--)
			(void)fputs("$\n", file);
		r = xfs_put_entry(build, file, order[i], err);
		open_dirs += S_ISDIR(entry->mode);
	}
	for (; open_dirs > 0; open_dirs--)
		(void)fputs("$\n", file);
	(void)fputs("$\n", file);
	if (fclose(file) != 0 && r == 0)
		r = error_sys(err, "failed to write %s", path);
	return r;
}

static int
xfs_put_content(struct build *build, FILE *file, size_t i, struct error *err)
{
	const struct image_entry *entry = build->image.entries[i];
	auto_free char *path = NULL, *source = NULL;
	char name[32];

	/* The prototype has no quotes, so a link without spaces stands for the source. */
	(void)snprintf(name, sizeof(name), "content.%zu", i);
	(void)fprintf(file, " %s\n", name);
	if (!entry->source) {
		path = filesystem_content_file(build, entry, i, err);
		return path ? 0 : -1;
	}
	path = work_path(build->work, name, err);
	if (!path)
		return -1;
	source = realpath(entry->source, NULL);
	if (!source || symlink(source, path) < 0)
		return error_sys(err, "failed to link %s", entry->source);
	return 0;
}

/* Tells whether the prototype cannot have this target: it has neither quotes nor escapes. */
static bool
xfs_is_odd_target(const char *target)
{
	return target[0] == ':' || strpbrk(target, " \t\n");
}

static int
xfs_put_entry(struct build *build, FILE *file, size_t i, struct error *err)
{
	const struct image_entry *entry = build->image.entries[i];
	const char *slash = strrchr(entry->path, '/');
	const char *name = slash ? slash + 1 : entry->path;
	static const char letters[] = "?pc?d?b?-?l";
	unsigned type = (entry->mode & S_IFMT) >> 12;

	if (S_ISSOCK(entry->mode)) {
		report_warn(build->report, "/%s: a socket is not stored", entry->path);
		return 0;
	}
	if (strpbrk(name, " \t\n") || name[0] == ':' || strcmp(name, "$") == 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"failed to add /%.200s: mkfs.xfs accepts no such name; use another "
			"file system",
			entry->path);
	(void)fprintf(file, "%s %c--%03o %u %u", name, letters[type], entry->mode & 0777,
		      entry->uid, entry->gid);
	if (S_ISREG(entry->mode))
		return xfs_put_content(build, file, i, err);
	if (S_ISLNK(entry->mode)) {
		const char *target = (const char *)entry->data;

		/* mkfs.xfs 6.1 writes them without the header that the kernel expects. */
		if (entry->size > LONGEST_LINK)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add /%.200s: target of a symlink too long for "
					 "xfs; use another file system",
					 entry->path);
		(void)putc(' ', file);
		for (const char *c = target; *c; c++)
			(void)putc(xfs_is_odd_target(target) ? '_' : *c, file);
	} else if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
		(void)fprintf(file, " %u %u", entry->dev_major, entry->dev_minor);
	}
	(void)putc('\n', file);
	return 0;
}

static void
xfs_note_complaint(const char *text, void *data)
{
	struct complaint *complaint = data;

	if (!complaint->text[0])
		(void)snprintf(complaint->text, sizeof(complaint->text), "%s", text);
}

/* Executes the script, and checks what xfs_db says: it continues after an error. */
static int
xfs_correct(struct build *build, const char *path, struct error *err)
{
	const char *argv[] = { "xfs_db", "-x", "-f", path, NULL };
	struct tool tool = { .argv = argv, .package = PACKAGE, .epoch = build->spec->epoch };
	struct script script = { .build = build };
	struct complaint complaint = { .text = "" };
	auto_free char *input = work_path(build->work, "xfs_db.script", err);
	auto_free char *output = work_path(build->work, "xfs_db.output", err);
	FILE *said = NULL;
	int r;

	if (!input || !output)
		return -1;
	script.file = fopen(input, "w+e");
	if (!script.file)
		return error_sys(err, "failed to create %s", input);
	said = fopen(output, "w+e");
	r = said ? xfs_write_script(&script, err) : error_sys(err, "failed to create %s", output);
	if (r == 0 && (fflush(script.file) != 0 || fseek(script.file, 0, SEEK_SET) != 0))
		r = error_sys(err, "failed to write %s", input);
	if (r == 0) {
		tool.in = fileno(script.file);
		tool.out = fileno(said);
		tool.line = xfs_note_complaint;
		tool.line_data = &complaint;
		r = tool_run(&tool, err);
	}
	if (r == 0)
		r = xfs_check_output(&script, said, &complaint, err);
	(void)fclose(script.file);
	if (said)
		(void)fclose(said);
	return r;
}

static void
xfs_put_hex(struct script *script, const char *field, const void *bytes, size_t n)
{
	(void)fprintf(script->file, "write %s #", field);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(script->file, "%02x", ((const uint8_t *)bytes)[i]);
	(void)putc('\n', script->file);
}

/* Makes the number of an inode's generation and its times those of the image. */
static void
xfs_put_constants(struct script *script)
{
	static const char *const times[] = { "core.atime", "core.mtime", "core.ctime",
					     "v3.crtime" };
	uint64_t time = (script->build->spec->epoch + TIME_OFFSET) * 1000000000;

	(void)fputs("write core.gen 0\n", script->file);
	/* Written, this field is the whole time, while printed it is the seconds. */
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		(void)fprintf(script->file, "write %s.sec %llu\n", times[i],
			      (unsigned long long)time);
	script->n_inodes++;
}

/* Converts an ACL (tag, permissions and id of each entry, little-endian) to the form of xfs:
 * tag, id, permissions and padding. Returns its length, 0 if it is damaged. */
static size_t
xfs_make_acl(const struct image_xattr *acl, uint8_t out[XFS_ACL_MAX])
{
	size_t n = acl->n < ACL_HEADER ? 0 : (acl->n - ACL_HEADER) / ACL_ENTRY;
	uint8_t *to = out;

	if (acl->n != ACL_HEADER + n * ACL_ENTRY ||
	    XFS_ACL_HEADER + n * XFS_ACL_ENTRY > XFS_ACL_MAX)
		return 0;
	*to++ = 0;
	*to++ = 0;
	*to++ = 0;
	*to++ = (uint8_t)n;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *from = acl->value + ACL_HEADER + i * ACL_ENTRY;
		const uint8_t entry[XFS_ACL_ENTRY] = { 0,       0,       from[1], from[0],
						       from[7], from[6], from[5], from[4],
						       from[3], from[2], 0,       0 };

		memcpy(to, entry, sizeof(entry));
		to += sizeof(entry);
	}
	return (size_t)(to - out);
}

/* Puts attributes into the inode: each with a value of the right length, which is then replaced,
 * because on a command line it could not have every byte. */
static int
xfs_put_attrs(struct script *script, const struct image_entry *entry, struct error *err)
{
	unsigned i = 0;

	if (entry->xattrs)
		(void)fprintf(script->file, "echo path = attributes of /%s\n", entry->path);
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next, i++) {
		const char *dot = strchr(x->name, '.'), *name = dot ? dot + 1 : "";
		const uint8_t *value = x->value;
		uint8_t acl[XFS_ACL_MAX];
		size_t n = x->n;
		char field[64];
		int space = !strncmp(x->name, "security.", 9)  ? 's'
			    : !strncmp(x->name, "trusted.", 8) ? 'r'
			    : !strncmp(x->name, "user.", 5)    ? 'u'
							       : 0;

		for (size_t k = 0; k < ARRAY_LEN(acl_names); k++) {
			if (strcmp(x->name, acl_names[k].name) != 0)
				continue;
			space = 'r';
			name = acl_names[k].stored;
			value = acl;
			n = xfs_make_acl(x, acl);
		}
		if (!space || !*name || strpbrk(name, " \t\n") || n == 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add /%.200s: its attribute %.100s cannot be "
					 "stored in xfs; use another file system",
					 entry->path, x->name);
		(void)fprintf(script->file, "attr_set -%c -v %zu -- %s\n", space, n, name);
		(void)snprintf(field, sizeof(field), "a.sfattr.list[%u].value", i);
		xfs_put_hex(script, field, value, n);
	}
	return 0;
}

static int
xfs_write_script(struct script *script, struct error *err)
{
	static const char *const inodes[] = { "rbmino", "rsumino" };
	const struct image *image = &script->build->image;

	/* Inodes that the file system has for itself. */
	for (size_t i = 0; i < ARRAY_LEN(inodes); i++) {
		(void)fprintf(script->file, "echo path = %s\nsb 0\naddr %s\n", inodes[i],
			      inodes[i]);
		xfs_put_constants(script);
	}
	(void)fputs("echo path = /\npath /\n", script->file);
	xfs_put_constants(script);
	for (size_t i = 0; i < image->n; i++) {
		const struct image_entry *entry = image->entries[i];

		if (S_ISSOCK(entry->mode))
			continue;
		(void)fprintf(script->file, "echo path = /%s\npath /%s\n", entry->path,
			      entry->path);
		if (xfs_put_attrs(script, entry, err) < 0)
			return -1;
		if (S_ISLNK(entry->mode) && xfs_is_odd_target((const char *)entry->data))
			xfs_put_hex(script, "u3.symlink", entry->data, entry->size);
		if (entry->mode & 07000)
			(void)fprintf(script->file, "write core.mode 0%o\n", entry->mode);
		xfs_put_constants(script);
	}
	return 0;
}

/* Each command has printed its line, and each inode has got the right time. */
static int
xfs_check_output(const struct script *script, FILE *output, struct complaint *complaint,
		 struct error *err)
{
	time_t epoch = script->build->spec->epoch;
	auto_free char *line = NULL;
	char time[64] = "";
	size_t size = 0, n = 0;
	struct tm tm;

	if (gmtime_r(&epoch, &tm))
		(void)strftime(time, sizeof(time), "core.mtime.sec = %a %b %e %T %Y", &tm);
	rewind(output);
	while (!complaint->text[0] && getline(&line, &size, output) > 0) {
		line[strcspn(line, "\n")] = '\0';
		/* "echo" prints a space after the last word. */
		if (!strncmp(line, "path = ", 7) && line[7])
			(void)snprintf(complaint->path, sizeof(complaint->path), "%.*s",
				       (int)strlen(line + 8), line + 7);
		else if (!strstr(line, " = "))
			xfs_note_complaint(line, complaint);
		n += !strcmp(line, time);
	}
	if (complaint->text[0])
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to add %s to xfs: %s; use another file system",
				 complaint->path, complaint->text);
	if (n != script->n_inodes)
		return error_set(err, ERROR_DATA_LOSS, "xfs_db changed %zu of %zu inodes", n,
				 script->n_inodes);
	return 0;
}
