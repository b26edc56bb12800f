/* SPDX-License-Identifier: Apache-2.0 */
/* Maps devices through the ioctls of the device mapper, without libdevmapper or udev. */
#include "agent/storage/verity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "lib/path.h"

#define CONTROL "/dev/mapper/control"
#define SECTOR  512

/* Digits of the longest hash that the kernel has (64 bytes), and of the longest salt. */
#define HASH_DIGITS_MAX 128
#define SALT_DIGITS_MAX 512

/* A request to the device mapper with room for one target. */
struct dm_request {
	struct dm_ioctl head;
	struct dm_target_spec target;
	char parameters[1024];
};

static int verity_control(const struct roots *roots, struct error *err);
static void verity_name(const struct storage_spec *spec, char name[static DM_NAME_LEN]);
static int verity_map(int control, const char *name, const struct verity *v, dev_t dev, dev_t *out,
		      struct error *err);
static int verity_remove(int control, const char *name, struct error *err);

static bool
is_hex(const char *s, size_t max)
{
	size_t n = strspn(s, "0123456789abcdefABCDEF");

	return n > 0 && n <= max && n % 2 == 0 && s[n] == '\0';
}

/* Reads an option that is a size of a block: a power of two from 512 to 65536. */
static int
block_size(const struct storage_spec *spec, const char *key, uint32_t *out, struct error *err)
{
	const char *text = storage_option(spec, key);

	*out = 4096;
	if (text &&
	    (!parse_u32(text, out) || *out < SECTOR || *out > 65536 || (*out & (*out - 1)) != 0))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid %s \"%.32s\": must be a power of two",
				 spec->mount_point, key, text);
	return 0;
}

int
verity_parse(const struct storage_spec *spec, struct verity *v, struct error *err)
{
	const char *enabled = storage_option(spec, "X-kata.dmverity-enabled");
	const char *offset = storage_option(spec, "X-kata.dmverity.hashoffset");
	const char *type = storage_option(spec, "X-kata.dmverity.hashtype");
	const char *bare = storage_option(spec, "X-kata.dmverity.no-superblock");

	*v = (struct verity){
		.root_hash = storage_option(spec, "X-kata.dmverity.roothash"),
		.salt = storage_option(spec, "X-kata.dmverity.salt"),
		.algorithm = storage_option(spec, "X-kata.dmverity.algorithm"),
		.type = 1,
	};
	if (!enabled || strcmp(enabled, "true") != 0) {
		/* An unchecked hash would be worse than an error. */
		if (v->root_hash)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "storage %s: X-kata.dmverity.roothash requires "
					 "X-kata.dmverity-enabled=true",
					 spec->mount_point);
		return 0;
	}
	if (!v->root_hash || !is_hex(v->root_hash, HASH_DIGITS_MAX))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid X-kata.dmverity.roothash \"%.160s\"",
				 spec->mount_point, v->root_hash ? v->root_hash : "");
	if (!v->salt || !*v->salt)
		v->salt = "-";
	if (strcmp(v->salt, "-") != 0 && !is_hex(v->salt, SALT_DIGITS_MAX))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid X-kata.dmverity.salt \"%.64s\"",
				 spec->mount_point, v->salt);
	if (!v->algorithm)
		v->algorithm = "sha256";
	if (!*v->algorithm || strlen(v->algorithm) > 64 ||
	    v->algorithm[strspn(v->algorithm, "abcdefghijklmnopqrstuvwxyz0123456789-_()")])
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid X-kata.dmverity.algorithm \"%.64s\"",
				 spec->mount_point, v->algorithm);
	if (block_size(spec, "X-kata.dmverity.blocksize", &v->data_block, err) < 0 ||
	    block_size(spec, "X-kata.dmverity.hashsize", &v->hash_block, err) < 0)
		return -1;
	if (!offset || !parse_u64(offset, &v->hash_offset) || v->hash_offset == 0 ||
	    v->hash_offset % v->data_block != 0 || v->hash_offset % v->hash_block != 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"storage %s: invalid X-kata.dmverity.hashoffset \"%.32s\": must be a "
			"multiple of the block sizes",
			spec->mount_point, offset ? offset : "");
	if (type && (!parse_u32(type, &v->type) || v->type > 1))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid X-kata.dmverity.hashtype \"%.32s\"",
				 spec->mount_point, type);
	v->no_superblock = bare && strcmp(bare, "true") == 0;
	return 1;
}

int
verity_open(struct worker *w, const struct roots *roots, const struct storage_spec *spec,
	    const struct verity *v, const char *node, char out[static VERITY_NODE_MAX],
	    struct error *err)
{
	auto_close int device = roots_open_path(roots, node);
	auto_close int control = -1;
	char name[DM_NAME_LEN];
	struct stat st;
	dev_t made;

	if (device < 0 || fstat(device, &st) < 0)
		return error_sys(err, "failed to open %s", node);
	if (!S_ISBLK(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a block device", node);
	control = verity_control(roots, err);
	if (control < 0)
		return -1;
	verity_name(spec, name);
	const struct undo undo = { .kind = &undo_verity, .fd = control, .name = name };

	if (worker_step(w, &undo, err) < 0)
		return -1;
	if (verity_map(control, name, v, st.st_rdev, &made, err) < 0)
		return error_wrap(err, "failed to set up dm-verity on %s", node);
	(void)snprintf(out, VERITY_NODE_MAX, "/dev/dm-%u", minor(made));
	return 0;
}

int
verity_close(const struct roots *roots, const struct storage_spec *spec, struct error *err)
{
	auto_close int control = verity_control(roots, err);
	char name[DM_NAME_LEN];

	if (control < 0)
		return -1;
	verity_name(spec, name);
	return verity_remove(control, name, err);
}

static int
verity_control(const struct roots *roots, struct error *err)
{
	auto_close int path = roots_open_path(roots, CONTROL);
	int fd = path < 0 ? -1 : path_reopen(path, O_RDWR);

	if (fd < 0)
		return error_sys(err, "failed to open " CONTROL
				      ", which dm-verity requires in the guest's kernel");
	return fd;
}

/* Makes the name of a mapping. Mount points are unique and longer than such a name may be, so it
 * has their hash (FNV-1a). */
static void
verity_name(const struct storage_spec *spec, char name[static DM_NAME_LEN])
{
	uint64_t hash = 14695981039346656037u;

	for (const char *p = spec->mount_point; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;
	(void)snprintf(name, DM_NAME_LEN, "kata-verity-%016llx", (unsigned long long)hash);
}

static void
dm_request_init(struct dm_request *r, const char *name)
{
	*r = (struct dm_request){
		.head.version = { DM_VERSION_MAJOR, 0, 0 },
		.head.data_size = sizeof(*r),
		.head.data_start = sizeof(r->head),
	};
	(void)snprintf(r->head.name, sizeof(r->head.name), "%s", name);
}

static int
verity_map(int control, const char *name, const struct verity *v, dev_t dev, dev_t *out,
	   struct error *err)
{
	/* A superblock takes the first block of the tree. */
	uint64_t first = v->hash_offset / v->hash_block + (v->no_superblock ? 0 : 1);
	struct dm_request r;
	int n;

	/* Left by a worker that was killed, if at all. */
	(void)verity_remove(control, name, err);
	*err = ERROR_INIT;
	dm_request_init(&r, name);
	if (ioctl(control, DM_DEV_CREATE, &r) < 0)
		return error_sys(err, "failed to create mapping %s", name);
	dm_request_init(&r, name);
	r.head.flags = DM_READONLY_FLAG;
	r.head.target_count = 1;
	r.target.length = v->hash_offset / SECTOR;
	(void)snprintf(r.target.target_type, sizeof(r.target.target_type), "verity");
	n = snprintf(r.parameters, sizeof(r.parameters), "%u %u:%u %u:%u %u %u %llu %llu %s %s %s",
		     v->type, major(dev), minor(dev), major(dev), minor(dev), v->data_block,
		     v->hash_block, (unsigned long long)(v->hash_offset / v->data_block),
		     (unsigned long long)first, v->algorithm, v->root_hash, v->salt);
	if (n >= (int)sizeof(r.parameters))
		return error_set(err, ERROR_INVALID_ARGUMENT, "the parameters are too long");
	if (ioctl(control, DM_TABLE_LOAD, &r) < 0)
		return error_sys(err, "failed to load the table \"%s\"", r.parameters);
	dm_request_init(&r, name);
	/* Without its flag, this call resumes the device, which gets its table. */
	if (ioctl(control, DM_DEV_SUSPEND, &r) < 0)
		return error_sys(err, "failed to activate mapping %s", name);
	/* The kernel's encoding splits the minor number. */
	*out = makedev((r.head.dev >> 8) & 0xfff,
		       (r.head.dev & 0xff) | ((r.head.dev >> 12) & 0xfff00));
	return 0;
}

static int
verity_remove(int control, const char *name, struct error *err)
{
	struct dm_request r;

	dm_request_init(&r, name);
	r.head.flags = DM_DEFERRED_REMOVE;
	if (ioctl(control, DM_DEV_REMOVE, &r) < 0 && errno != ENXIO)
		return error_sys(err, "failed to remove mapping %s", name);
	return 0;
}

static int
verity_undo(const struct step *step, struct error *err)
{
	return verity_remove(step->fd, step->name, err);
}

const struct undo_kind undo_verity = { .name = "remove a dm-verity device", .undo = verity_undo };
