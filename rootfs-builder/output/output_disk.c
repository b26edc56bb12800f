/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw disk image: the file system is made in a file of its own, the hash tree of it likewise, and
 * both are copied to their partitions. Holes stay holes.
 *
 *   check options -> file system -> hash tree -> layout -> table -> copy -> verify
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/filesystem/disk_layout.h"
#include "rootfs-builder/filesystem/filesystem.h"
#include "rootfs-builder/filesystem/verity.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/work/tool.h"

#define MIB ((uint64_t)1 << 20)
/* An NVDIMM of another size keeps Kata from plugging memory later. */
#define ALIGN_DAX   (128 * MIB)
#define ALIGN_PLAIN (2 * MIB)
#define CHUNK       ((size_t)1 << 20)

/* One image that is being written. */
struct disk {
	struct build *build;
	const struct filesystem_kind *kind;
	struct disk_layout layout;
	/* The file system, and its hash tree. */
	char *fs, *hash;
	struct verity verity;
	int fd;
};

static int disk_check(const struct build_spec *spec, struct error *err);
static int disk_write(struct build *build, const char *to, struct error *err);
static int disk_fill(struct disk *disk, struct error *err);
static int disk_write_tables(struct disk *disk, struct error *err);
static int disk_write_gpt(struct disk *disk, struct error *err);
static int disk_copy(int to, uint64_t at, const char *from, struct error *err);
static int disk_verify(const struct disk *disk, struct error *err);
static int disk_report(const struct disk *disk, struct error *err);

const struct output_kind output_disk = {
	.name = "disk",
	.help = "a raw disk image: see --filesystem",
	.check = disk_check,
	.write = disk_write,
};

static int
disk_check(const struct build_spec *spec, struct error *err)
{
	const struct filesystem_kind *kind = filesystem_find(spec->filesystem);
	enum disk_table table;

	if (!kind)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid file system %s: expected ext4, erofs, squashfs or xfs",
				 spec->filesystem);
	if (!disk_table_parse(spec->partitions, &table))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid partition table %s: expected none, mbr or gpt",
				 spec->partitions);
	if (spec->verity && table == DISK_TABLE_NONE)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--verity needs a partition table: the hash tree has a partition");
	if (spec->dax && !kind->has_dax)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--dax is not valid for %s, of which the kernel maps nothing with "
				 "DAX",
				 kind->name);
	if (spec->has_compress && !(kind->packs & 1u << spec->compress))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "the kernel has no %s with this --compress", kind->name);
	if (spec->dax && spec->has_compress && spec->compress != PACK_NONE)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--dax and --compress exclude each other: the kernel cannot map "
				 "compressed files");
	if (spec->free_space && kind->read_only)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--free is not valid for %s, which is read-only", kind->name);
	if (spec->free_space && spec->size)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--free and --size exclude each other");
	if (spec->size % 4096 || spec->align % 4096 || (spec->align & (spec->align - 1)))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid --size or --align: expected multiples of 4096, and for "
				 "--align a power of two");
	return spec->verity ? tool_need("veritysetup", "cryptsetup-bin", err) : 0;
}

static int
disk_write(struct build *build, const char *to, struct error *err)
{
	struct disk disk = { .build = build, .fd = -1 };
	int r;

	disk.kind = filesystem_find(build->spec->filesystem);
	disk.fs = work_path(build->work, "filesystem", err);
	disk.hash = disk.fs ? work_path(build->work, "hash", err) : NULL;
	if (!disk.hash) {
		free(disk.fs);
		return -1;
	}
	disk.fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	r = disk.fd < 0 ? error_sys(err, "failed to create %s", to) : disk_fill(&disk, err);
	if (disk.fd >= 0 && close(disk.fd) < 0 && r == 0)
		r = error_sys(err, "failed to write %s", to);
	free(disk.fs);
	free(disk.hash);
	return r;
}

static int
disk_size_of(const char *path, uint64_t *out, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_sys(err, "failed to stat %s", path);
	*out = (uint64_t)st.st_size;
	return 0;
}

static int
disk_fill(struct disk *disk, struct error *err)
{
	const struct build_spec *spec = disk->build->spec;
	uint64_t align = spec->align, fs_size, hash_size = 0;
	enum disk_table table = DISK_TABLE_NONE;

	report_step(disk->build->report, "making the %s file system", disk->kind->name);
	if (disk->kind->make(disk->build, disk->fs, err) < 0)
		return error_wrap(err, "failed to make the %s file system", disk->kind->name);
	if (disk_size_of(disk->fs, &fs_size, err) < 0)
		return -1;
	/* The hash tree covers whole blocks. */
	fs_size = filesystem_round(fs_size, VERITY_BLOCK);
	if (truncate(disk->fs, (off_t)fs_size) < 0)
		return error_sys(err, "failed to extend the file system");
	if (spec->verity &&
	    (verity_make(disk->build, disk->fs, disk->hash, &disk->verity, err) < 0 ||
	     disk_size_of(disk->hash, &hash_size, err) < 0))
		return -1;
	(void)disk_table_parse(spec->partitions, &table);
	if (!align)
		align = spec->dax ? ALIGN_DAX : ALIGN_PLAIN;
	if (disk_layout_plan(&disk->layout, table, spec->dax, fs_size, hash_size, align, err) < 0)
		return -1;
	report_step(disk->build->report, "writing the disk");
	if (ftruncate(disk->fd, (off_t)disk->layout.size) < 0)
		return error_sys(err, "failed to set the size of the disk");
	if (disk_write_tables(disk, err) < 0 ||
	    disk_copy(disk->fd, disk->layout.parts[0].start, disk->fs, err) < 0 ||
	    (spec->verity && disk_copy(disk->fd, disk->layout.parts[1].start, disk->hash, err) < 0))
		return -1;
	return disk_verify(disk, err) < 0 ? -1 : disk_report(disk, err);
}

static int
disk_put(struct disk *disk, uint64_t at, const void *data, size_t n, struct error *err)
{
	return pwrite(disk->fd, data, n, (off_t)at) == (ssize_t)n
		       ? 0
		       : error_sys(err, "failed to write the disk");
}

static int
disk_write_tables(struct disk *disk, struct error *err)
{
	uint8_t sector[DISK_SECTOR], header[DISK_DAX_HEADER], id[4];
	const struct disk_layout *layout = &disk->layout;
	uint32_t number;

	build_seed(disk->build, "disk-id", id, sizeof(id));
	number = (uint32_t)id[0] | (uint32_t)id[1] << 8 | (uint32_t)id[2] << 16 |
		 (uint32_t)id[3] << 24;
	if (layout->base) {
		disk_dax_header(header);
		if (disk_put(disk, DISK_DAX_HEADER_AT, header, sizeof(header), err) < 0)
			return -1;
		/* Also for a GPT, which would have its copy at the wrong end. */
		disk_mbr(layout, 0, number, sector);
		if (disk_put(disk, 0, sector, sizeof(sector), err) < 0)
			return -1;
	}
	switch (layout->table) {
	case DISK_TABLE_NONE:
		return 0;
	case DISK_TABLE_MBR:
		disk_mbr(layout, layout->base, number, sector);
		return disk_put(disk, layout->base, sector, sizeof(sector), err);
	case DISK_TABLE_GPT:
		return disk_write_gpt(disk, err);
	}
	return 0;
}

/* Stores the ids of the partitions. Those of a root with a hash tree are the halves of its root
 * hash, by which systemd finds both for the kernel parameter roothash=. */
static void
disk_part_ids(const struct disk *disk, char out[DISK_PARTS_MAX][37])
{
	build_uuid(disk->build, "partition-uuid", out[0]);
	for (unsigned i = 0; disk->layout.n_parts > 1 && i < DISK_PARTS_MAX; i++) {
		const char *h = disk->verity.root_hash + (size_t)i * 32;

		(void)snprintf(out[i], 37, "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16,
			       h + 20);
	}
}

/* sfdisk works on a file without content, which is copied. */
static int
disk_write_gpt(struct disk *disk, struct error *err)
{
	const struct disk_layout *layout = &disk->layout;
	auto_free char *file = work_path(disk->build->work, "gpt", err);
	auto_free char *script = file ? work_path(disk->build->work, "gpt.script", err) : NULL;
	const struct arch *arch = arch_find(disk->build->spec->arch);
	const char *type[DISK_PARTS_MAX] = { arch->gpt_root, arch->gpt_verity };
	static const char *const names[] = { "root", "root-verity" };
	char ids[DISK_PARTS_MAX][37], disk_id[37];
	const char *argv[] = { "sfdisk", "-q", "--no-reread", "--no-tell-kernel", file, NULL };
	struct tool tool = { .argv = argv, .package = "fdisk", .epoch = disk->build->spec->epoch };
	auto_close int fd = -1, in = -1;
	FILE *f;
	int r;

	if (!script)
		return -1;
	disk_part_ids(disk, ids);
	build_uuid(disk->build, "disk-uuid", disk_id);
	f = fopen(script, "we");
	if (!f)
		return error_sys(err, "failed to create %s", script);
	(void)fprintf(f, "label: gpt\nlabel-id: %s\nunit: sectors\nsector-size: 512\n", disk_id);
	for (unsigned i = 0; i < layout->n_parts; i++)
		/* Bit 60 of the attributes: read-only. */
		(void)fprintf(
			f, "start=%llu, size=%llu, type=%s, uuid=%s, name=%s%s\n",
			(unsigned long long)((layout->parts[i].start - layout->base) / DISK_SECTOR),
			(unsigned long long)(layout->parts[i].size / DISK_SECTOR), type[i], ids[i],
			names[i],
			disk->kind->read_only || i || layout->n_parts > 1 ? ", attrs=\"GUID:60\""
									  : "");
	if (fclose(f) != 0)
		return error_sys(err, "failed to write %s", script);
	fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)(layout->size - layout->base)) < 0)
		return error_sys(err, "failed to create %s", file);
	in = open(script, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return error_sys(err, "failed to open %s", script);
	tool.in = in;
	r = tool_run(&tool, err);
	return r < 0 ? -1 : disk_copy(disk->fd, layout->base, file, err);
}

/* Copies a file to the address `at`. Holes and zeros are left out. */
static int
disk_copy(int to, uint64_t at, const char *from, struct error *err)
{
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);
	auto_free uint8_t *bytes = malloc(CHUNK);
	off_t data = 0, end;

	if (fd < 0)
		return error_sys(err, "failed to open %s", from);
	if (!bytes)
		return error_nomem(err, "writing a disk");
	for (;;) {
		data = lseek(fd, data, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : error_sys(err, "failed to read %s", from);
		end = lseek(fd, data, SEEK_HOLE);
		if (end < 0)
			return error_sys(err, "failed to read %s", from);
		while (data < end) {
			size_t n = (uint64_t)(end - data) < CHUNK ? (size_t)(end - data) : CHUNK;
			ssize_t got = pread(fd, bytes, n, data);

			if (work_check(err) < 0)
				return -1;
			if (got <= 0)
				return error_sys(err, "failed to read %s", from);
			if ((bytes[0] || memcmp(bytes, bytes + 1, (size_t)got - 1) != 0) &&
			    pwrite(to, bytes, (size_t)got, (off_t)at + data) != got)
				return error_sys(err, "failed to write the disk");
			data += got;
		}
	}
}

/* An image without a file system where the guest looks for it must not leave this program. */
static int
disk_verify(const struct disk *disk, struct error *err)
{
	const struct filesystem_kind *kind = disk->kind;
	uint8_t magic[sizeof(kind->magic)];
	off_t at = (off_t)(disk->layout.parts[0].start + kind->magic_offset);
	uint64_t size;

	if (pread(disk->fd, magic, kind->magic_len, at) != (ssize_t)kind->magic_len)
		return error_sys(err, "failed to read the disk");
	if (memcmp(magic, kind->magic, kind->magic_len) != 0)
		return error_set(err, ERROR_DATA_LOSS,
				 "no %s superblock in the first partition at byte %llu", kind->name,
				 (unsigned long long)disk->layout.parts[0].start);
	size = (uint64_t)lseek(disk->fd, 0, SEEK_END);
	return size == disk->layout.size
		       ? 0
		       : error_set(err, ERROR_DATA_LOSS, "%llu bytes were written, not %llu",
				   (unsigned long long)size, (unsigned long long)disk->layout.size);
}

/* Tells what a host needs to boot it. */
static int
disk_report(const struct disk *disk, struct error *err)
{
	const struct build_spec *spec = disk->build->spec;
	struct report *report = disk->build->report;
	bool table = disk->layout.table != DISK_TABLE_NONE;
	const char *device = spec->dax ? "/dev/pmem0" : "/dev/vda";
	const char *part = !table ? "" : spec->dax ? "p1" : "1";
	auto_free char *root = NULL, *parameters = NULL, *kata = NULL;
	const char *flags = disk->kind->root_flags;
	bool dax = spec->dax && !spec->verity;

	if (asprintf(&root, "%s%s", device, part) < 0)
		return error_nomem(err, "writing a disk");
	report_fact(report, "filesystem", disk->kind->name);
	report_fact(report, "partitions", spec->partitions);
	if (spec->verity) {
		auto_free char *hash = NULL;
		char *kata_root;

		if (asprintf(&hash, "%s%s", device, spec->dax ? "p2" : "2") < 0)
			return error_nomem(err, "writing a disk");
		report_fact(report, "root_hash", disk->verity.root_hash);
		kata = verity_kata_parameters(&disk->verity);
		if (!kata)
			return error_nomem(err, "writing a disk");
		report_fact(report, "kernel_verity_params", kata);
		if (asprintf(&disk->build->note, "%s\n", kata) < 0) {
			disk->build->note = NULL;
			return error_nomem(err, "writing a disk");
		}
		/* The content of Kata's root_hash_<variant>.txt. */
		disk->build->note_suffix = ".root_hash";
		kata_root = verity_kernel_parameters(&disk->verity, root, hash);
		free(root);
		root = kata_root;
	} else {
		char *device_parameter = NULL;

		if (asprintf(&device_parameter, "root=%s", root) < 0)
			return error_nomem(err, "writing a disk");
		free(root);
		root = device_parameter;
	}
	if (!root || asprintf(&parameters, "%s rootfstype=%s%s%s%s%s ro rootwait", root,
			      disk->kind->name, dax || *flags ? " rootflags=" : "",
			      dax ? "dax" : "", dax && *flags ? "," : "", flags) < 0)
		return error_nomem(err, "writing a disk");
	report_fact(report, "kernel_parameters", parameters);
	return 0;
}
