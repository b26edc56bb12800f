/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext4: mke2fs makes an empty file system, and debugfs executes a script that adds each entry with
 * its owner, mode and attributes, so that nothing of it has to exist on the host. Both take the
 * time of all inodes from E2FSPROGS_FAKE_TIME.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/filesystem/filesystem.h"
#include "rootfs-builder/work/tool.h"

#define PACKAGE    "e2fsprogs"
#define MIB        ((uint64_t)1 << 20)
#define BLOCK      ((uint64_t)4096)
#define INODE_SIZE ((uint64_t)256)
#define GROUP      ((uint64_t)32768 * BLOCK)
/* The journal of 4 MiB that mke2fs makes only in a file system of at least 8 MiB. */
#define JOURNAL      (4 * MIB)
#define SMALLEST     (12 * MIB)
#define LONGEST_FAST 59
/* mke2fs reserves 10, lost+found has one, and a guest that writes needs some. */
#define SPARE_INODES ((uint64_t)75)
#define CONFIG                                                                                  \
	"[defaults]\n"                                                                          \
	"\tbase_features = sparse_super,large_file,filetype,dir_index,ext_attr\n"               \
	"\tblocksize = 4096\n"                                                                  \
	"\tinode_size = 256\n"                                                                  \
	"\treserved_ratio = 0\n"                                                                \
	"[fs_types]\n"                                                                          \
	"\text4 = {\n"                                                                          \
	"\t\tfeatures = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,extra_isize\n" \
	"\t}\n"                                                                                 \
	"\tsmall = {\n"                                                                         \
	"\t}\n"

/* The commands of debugfs. */
struct script {
	const struct build *build;
	FILE *file;
	/* Directory of the previous command; its length. */
	const char *dir;
	size_t dir_len;
	size_t n_contents;
	/* The first entry of each group of hard links, and the number of its entries so far. */
	struct first_link {
		const struct image_entry *entry;
		unsigned n;
	} * links;
};

/* The first complaint of debugfs, which continues after it and exits with 0. */
struct complaint {
	char text[300];
};

static int ext4_make(struct build *build, const char *to, struct error *err);
static uint64_t ext4_size(const struct build *build);
static int ext4_format(struct build *build, const char *to, uint64_t size, const char *const *env,
		       struct error *err);
static int ext4_fill(struct build *build, const char *to, const char *const *env,
		     struct error *err);
static int ext4_write_script(struct script *script, struct error *err);
static int ext4_put_entry(struct script *script, const struct image_entry *entry,
			  struct error *err);
static int ext4_put_xattrs(struct script *script, const struct image_entry *entry, const char *name,
			   struct error *err);
static int ext4_check_journal(const char *path, struct error *err);

const struct filesystem_kind filesystem_ext4 = {
	.name = "ext4",
	.help = "writable, and what most Kata configurations expect",
	.has_dax = true,
	.root_flags = "data=ordered,errors=remount-ro",
	.magic_offset = 1024 + 56,
	.magic_len = 2,
	.magic = { 0x53, 0xef },
	.packs = 1u << PACK_NONE,
	.default_pack = PACK_NONE,
	.make = ext4_make,
};

static int
ext4_run(const struct build *build, const char *const *argv, const char *const *env,
	 struct error *err)
{
	const struct tool tool = {
		.argv = argv, .package = PACKAGE, .env = env, .epoch = build->spec->epoch
	};

	return tool_run(&tool, err);
}

static int
ext4_make(struct build *build, const char *to, struct error *err)
{
	const char *check[] = { "e2fsck", "-fn", to, NULL };
	uint64_t size = build->spec->size ? build->spec->size : ext4_size(build);
	auto_free char *config = work_path(build->work, "mke2fs.conf", err);
	auto_free char *config_env = NULL, *time_env = NULL;
	const char *env[3] = { NULL };
	FILE *file;

	if (!config)
		return -1;
	if (asprintf(&config_env, "MKE2FS_CONFIG=%s", config) < 0 ||
	    asprintf(&time_env, "E2FSPROGS_FAKE_TIME=%u", build->spec->epoch) < 0)
		return error_nomem(err, "making a file system");
	env[0] = config_env;
	env[1] = time_env;
	file = fopen(config, "we");
	if (!file)
		return error_sys(err, "failed to create %s", config);
	(void)fputs(CONFIG, file);
	if (fclose(file) != 0)
		return error_sys(err, "failed to write %s", config);
	if (size < SMALLEST)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "invalid size of %llu bytes: ext4 with a journal, without which "
				 "Kata cannot mount it, needs 12 MiB",
				 (unsigned long long)size);
	if (ext4_format(build, to, size, env, err) < 0 || ext4_fill(build, to, env, err) < 0 ||
	    ext4_check_journal(to, err) < 0)
		return -1;
	return ext4_run(build, check, env, err);
}

/* Returns the size that holds the image, a journal, and the free space asked for. */
static uint64_t
ext4_size(const struct build *build)
{
	const struct image *image = &build->image;
	uint64_t blocks = 0, inodes = image->n + SPARE_INODES, size;

	for (size_t i = 0; i < image->n; i++) {
		const struct image_entry *entry = image->entries[i];

		if (S_ISREG(entry->mode))
			/* An extent has 128 MiB; four lie in the inode, others in blocks. */
			blocks += filesystem_round(entry->size, BLOCK) / BLOCK +
				  (entry->size > 4 * GROUP ? 1 + entry->size / (300 * GROUP) : 0);
		else if (S_ISDIR(entry->mode) ||
			 (S_ISLNK(entry->mode) && entry->size > LONGEST_FAST))
			blocks++;
		if (entry->xattrs)
			blocks++;
	}
	/* Names, 8 bytes each in addition: directories are filled to a half at least. */
	for (size_t i = 0, bytes = 0; i < image->n; i++) {
		const char *slash = strrchr(image->entries[i]->path, '/');

		bytes += 2 * (12 + strlen(slash ? slash : image->entries[i]->path));
		if (i + 1 == image->n)
			blocks += bytes / BLOCK;
	}
	size = blocks * BLOCK + filesystem_round(inodes * INODE_SIZE, BLOCK) + JOURNAL + MIB;
	/* Bitmaps, copies of the superblock and group descriptors, and rounding of the inodes. */
	size += (size / GROUP + 1) * 16 * BLOCK + size / 100;
	size = filesystem_round(size + build->spec->free_space, MIB);
	return size < SMALLEST ? SMALLEST : size;
}

static int
ext4_format(struct build *build, const char *to, uint64_t size, const char *const *env,
	    struct error *err)
{
	char uuid[37], hash_uuid[37], inodes[24], blocks[24], extended[160];
	const char *argv[] = { "mke2fs",      "-q", "-F",     "-t", "ext4", "-L",
			       "tatami-root", "-U", uuid,     "-N", inodes, "-J",
			       "size=4",      "-E", extended, to,   blocks, NULL };

	build_uuid(build, "filesystem-uuid", uuid);
	build_uuid(build, "filesystem-hash-seed", hash_uuid);
	(void)snprintf(extended, sizeof(extended),
		       "hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0",
		       hash_uuid);
	(void)snprintf(inodes, sizeof(inodes), "%zu", build->image.n + (size_t)SPARE_INODES);
	(void)snprintf(blocks, sizeof(blocks), "%lluk", (unsigned long long)(size / 1024));
	return ext4_run(build, argv, env, err);
}

static void
ext4_note_complaint(const char *text, void *data)
{
	struct complaint *complaint = data;

	/* Its first line is its version. */
	if (!complaint->text[0] && strncmp(text, "debugfs ", 8) != 0)
		(void)snprintf(complaint->text, sizeof(complaint->text), "%s", text);
}

static int
ext4_fill(struct build *build, const char *to, const char *const *env, struct error *err)
{
	struct script script = { .build = build, .dir = NULL };
	struct complaint complaint = { .text = "" };
	auto_free char *path = work_path(build->work, "debugfs.script", err);
	int r;

	if (!path)
		return -1;
	script.links = calloc(build->image.n_link_groups + (size_t)1, sizeof(*script.links));
	if (!script.links)
		return error_nomem(err, "making a file system");
	script.file = fopen(path, "we");
	if (!script.file) {
		free(script.links);
		return error_sys(err, "failed to create %s", path);
	}
	r = ext4_write_script(&script, err);
	free(script.links);
	if (fclose(script.file) != 0 && r == 0)
		r = error_sys(err, "failed to write %s", path);
	if (r == 0) {
		const char *argv[] = { "debugfs", "-w", "-f", path, to, NULL };
		const struct tool tool = { .argv = argv,
					   .package = PACKAGE,
					   .env = env,
					   .epoch = build->spec->epoch,
					   .line = ext4_note_complaint,
					   .line_data = &complaint };

		r = tool_run(&tool, err);
	}
	if (r == 0 && complaint.text[0])
		r = error_set(err, ERROR_RESOURCE_EXHAUSTED, "debugfs failed: %s", complaint.text);
	return r == 0 ? filesystem_check_sources(build, err) : -1;
}

/* Writes a word in quotes, in which a quote is written twice. */
static void
ext4_put_quoted(FILE *file, const char *before, const char *text)
{
	(void)fprintf(file, " \"%s", before);
	for (const char *c = text; *c; c++) {
		if (*c == '"')
			(void)putc('"', file);
		(void)putc(*c, file);
	}
	(void)putc('"', file);
}

static int
ext4_write_script(struct script *script, struct error *err)
{
	for (size_t i = 0; i < script->build->image.n; i++) {
		if (ext4_put_entry(script, script->build->image.entries[i], err) < 0)
			return -1;
	}
	return 0;
}

/* Makes the parent of an entry the current directory. */
static void
ext4_put_cd(struct script *script, const struct image_entry *entry, size_t len)
{
	auto_free char *dir = strndup(entry->path, len);

	if (script->dir && script->dir_len == len && !strncmp(script->dir, entry->path, len))
		return;
	(void)fputs("cd", script->file);
	ext4_put_quoted(script->file, "/", dir ? dir : "");
	(void)putc('\n', script->file);
	script->dir = entry->path;
	script->dir_len = len;
}

static void
ext4_put_field(struct script *script, const char *name, const char *field, const char *format,
	       unsigned value)
{
	/* With "./" a name such as "<5>" is not taken for the number of an inode. */
	(void)fputs("sif", script->file);
	ext4_put_quoted(script->file, "./", name);
	(void)fprintf(script->file, " %s ", field);
	(void)fprintf(script->file, format, value);
	(void)putc('\n', script->file);
}

static int
ext4_put_entry(struct script *script, const struct image_entry *entry, struct error *err)
{
	const char *slash = strrchr(entry->path, '/');
	const char *name = slash ? slash + 1 : entry->path;
	struct first_link *link = entry->link_group ? &script->links[entry->link_group] : NULL;
	FILE *file = script->file;

	if (S_ISSOCK(entry->mode)) {
		report_warn(script->build->report, "/%s: a socket is not stored", entry->path);
		return 0;
	}
	ext4_put_cd(script, entry, slash ? (size_t)(slash - entry->path) : 0);
	if (link && link->entry) {
		/* The command does not count the link. */
		(void)fputs("ln", file);
		ext4_put_quoted(file, "/", link->entry->path);
		ext4_put_quoted(file, "", name);
		(void)putc('\n', file);
		ext4_put_field(script, name, "links_count", "%u", ++link->n);
		return 0;
	}
	if (link)
		*link = (struct first_link){ entry, 1 };
	if (S_ISDIR(entry->mode) && strcmp(entry->path, "lost+found") != 0) {
		(void)fputs("mkdir", file);
		ext4_put_quoted(file, "", name);
	} else if (S_ISLNK(entry->mode)) {
		const char *target = (const char *)entry->data;

		if (strchr(target, '\n'))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add /%.200s: newline in the target of the "
					 "symlink",
					 entry->path);
		(void)fputs("symlink", file);
		ext4_put_quoted(file, "", name);
		ext4_put_quoted(file, "", target);
	} else if (S_ISREG(entry->mode)) {
		auto_free char *content =
			entry->source ? realpath(entry->source, NULL)
				      : filesystem_content_file(script->build, entry,
								script->n_contents++, err);

		if (!content && entry->source)
			return error_sys(err, "failed to find %s", entry->source);
		if (!content)
			return -1;
		if (strchr(content, '\n'))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "failed to add %.200s: newline in its path", content);
		(void)fputs("write", file);
		ext4_put_quoted(file, "", content);
		ext4_put_quoted(file, "", name);
	} else if (!S_ISDIR(entry->mode)) {
		(void)fputs("mknod", file);
		ext4_put_quoted(file, "", name);
		if (S_ISFIFO(entry->mode))
			(void)fputs(" p", file);
		else
			(void)fprintf(file, " %c %u %u", S_ISCHR(entry->mode) ? 'c' : 'b',
				      entry->dev_major, entry->dev_minor);
	}
	(void)putc('\n', file);
	if (!S_ISLNK(entry->mode))
		ext4_put_field(script, name, "mode", "0%o", entry->mode);
	if (entry->uid)
		ext4_put_field(script, name, "uid", "%u", entry->uid);
	if (entry->gid)
		ext4_put_field(script, name, "gid", "%u", entry->gid);
	return ext4_put_xattrs(script, entry, name, err);
}

static int
ext4_put_xattrs(struct script *script, const struct image_entry *entry, const char *name,
		struct error *err)
{
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
		const struct image_entry value = { .data = x->value, .size = x->n };
		auto_free char *path =
			filesystem_content_file(script->build, &value, script->n_contents++, err);

		if (!path)
			return -1;
		(void)fputs("ea_set -f", script->file);
		ext4_put_quoted(script->file, "", path);
		ext4_put_quoted(script->file, "./", name);
		ext4_put_quoted(script->file, "", x->name);
		(void)putc('\n', script->file);
	}
	return 0;
}

/* Kata mounts with data=ordered, which the kernel rejects without a journal. */
static int
ext4_check_journal(const char *path, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t compat[4];

	if (fd < 0 || pread(fd, compat, sizeof(compat), 1024 + 92) != sizeof(compat))
		return error_sys(err, "failed to read the superblock");
	if (!(compat[0] & 4))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "mke2fs made a file system without a journal");
	return 0;
}
