/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ResizeVolume: grows a file system to the size of its device, or to a given size. A worker does
 * this because it writes to the disk. The supported file systems are in a table, each in a file of
 * its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/storage/grow.h"
#include "agent/storage/volume.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"

/* Long enough for a large, slow disk. */
#define RESIZE_MS 600000
/* From the host's call until the device has its new size. */
#define DEVICE_MS   3000
#define SECTOR_SIZE 512
/* Space that does not fill an allocation group may be left over. */
#define GROUP_MAX (256ull << 20)

static const struct grow_fs *const file_systems[] = { &grow_ext4, &grow_xfs, &grow_btrfs };

struct resize_arg {
	const struct roots *roots;
	volume_done_fn *done;
	void *data;
	uint64_t size;
	char path[];
};

/* ---- devices ---- */

static void
device_path(dev_t device, const char *what, char out[64])
{
	(void)snprintf(out, 64, "dev/block/%u:%u/%s", major(device), minor(device), what);
}

static int
device_size(const struct roots *roots, dev_t device, uint64_t *out, struct error *err)
{
	char path[64], text[32];

	device_path(device, "size", path);
	if (read_text_at(roots->sys, path, text, sizeof(text)) < 0)
		return error_sys(err, "failed to read the size of device %u:%u", major(device),
				 minor(device));
	if (!parse_u64(text, out) || *out > UINT64_MAX / SECTOR_SIZE)
		return error_set(err, ERROR_INTERNAL, "invalid size of device %u:%u: \"%s\"",
				 major(device), minor(device), text);
	*out *= SECTOR_SIZE;
	return 0;
}

int
grow_open_device(const struct roots *roots, dev_t device, struct error *err)
{
	char path[64], link[PATH_MAX];
	const char *name;
	struct stat st;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "dev/block/%u:%u", major(device), minor(device));
	n = readlinkat(roots->sys, path, link, sizeof(link) - 1);
	if (n < 0)
		return error_sys(err, "failed to find device %u:%u", major(device), minor(device));
	link[n] = '\0';
	name = strrchr(link, '/');
	name = name ? name + 1 : link;
	fd = openat(roots->dev, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return error_sys(err, "failed to open /dev/%s", name);
	if (fstat(fd, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != device) {
		(void)close(fd);
		return error_set(err, ERROR_INTERNAL, "/dev/%s is not device %u:%u", name,
				 major(device), minor(device));
	}
	return fd;
}

/* Opens a socket that receives the kernel's uevents, which announce a disk's new size. Returns -1
 * if there are none. */
static int
uevents(void)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	auto_close int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return steal_fd(&fd);
}

/* Waits until the device has the wanted size: the host resizes it before the call, but the guest
 * may notice slightly later. Sets *size to the final size, wanted or not. */
static int
wait_for_size(const struct roots *roots, dev_t device, uint64_t wanted, uint64_t *size,
	      struct error *err)
{
	uint64_t end = deadline_in(DEVICE_MS);
	auto_close int events = uevents();
	char path[64], event[4096];

	/* The size of a SCSI disk is only read again on request. */
	device_path(device, "device/rescan", path);
	(void)write_text_at(roots->sys, path, "1");
	for (;;) {
		struct pollfd changed = { .fd = events, .events = POLLIN };

		if (device_size(roots, device, size, err) < 0)
			return -1;
		if (*size >= wanted || deadline_is_over(end) || events < 0)
			return 0;
		if (poll(&changed, 1, deadline_left_ms(end)) > 0)
			(void)!recv(events, event, sizeof(event), MSG_DONTWAIT);
	}
}

/* ---- file systems ---- */

static int
error_too_large(struct error *err, uint64_t wanted, uint64_t size)
{
	return error_set(err, ERROR_OUT_OF_RANGE,
			 "%llu bytes requested, but the device has only %llu",
			 (unsigned long long)wanted, (unsigned long long)size);
}

static const struct grow_fs *
file_system(int fd, struct error *err)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0) {
		error_sys(err, "failed to read the type of the file system");
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(file_systems); i++)
		if ((unsigned long)file_systems[i]->magic ==
		    ((unsigned long)st.f_type & 0xfffffffful))
			return file_systems[i];
	error_set(err, ERROR_FAILED_PRECONDITION,
		  "file system type %#lx cannot be grown: only ext4, xfs and btrfs can",
		  (unsigned long)st.f_type);
	return NULL;
}

/* Sets *to to the new size, 0 if the file system has it already. */
static int
choose_size(const struct grow *g, uint64_t wanted, uint64_t *to, struct error *err)
{
	uint64_t available;

	if (wanted > 0 && wanted / g->block < g->size / g->block)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"%llu bytes requested, but the file system has %llu and cannot shrink",
			(unsigned long long)wanted, (unsigned long long)g->size);
	if (wait_for_size(g->roots, g->device, wanted, &available, err) < 0)
		return -1;
	if (wanted > available)
		return error_too_large(err, wanted, available);
	*to = (wanted > 0 ? wanted : available) / g->block * g->block;
	if (*to <= g->size)
		*to = 0;
	return 0;
}

static int
grow_file_system(struct worker *w, struct grow *g, uint64_t wanted, struct error *err)
{
	const struct grow_fs *fs = file_system(g->fd, err);
	uint64_t to = 0, before;

	if (!fs || fs->look(g, err) < 0 || choose_size(g, wanted, &to, err) < 0)
		return -1;
	if (to == 0)
		return 0;
	before = g->size;
	if (fs->grow(g, to, err) < 0 || fs->look(g, err) < 0)
		return -1;
	if (g->size <= before && to - before > GROUP_MAX)
		return error_set(err, ERROR_INTERNAL, "%s did not grow beyond %llu bytes", fs->name,
				 (unsigned long long)before);
	worker_log(w, LOG_LEVEL_INFO, "%s on device %u:%u: grew from %llu to %llu bytes", fs->name,
		   major(g->device), minor(g->device), (unsigned long long)before,
		   (unsigned long long)g->size);
	return 0;
}

/* Checks the size of a raw device, which has no file system to grow. */
static int
check_device(const struct roots *roots, dev_t device, uint64_t wanted, struct error *err)
{
	uint64_t size;

	if (wait_for_size(roots, device, wanted, &size, err) < 0)
		return -1;
	return wanted > size ? error_too_large(err, wanted, size) : 0;
}

static int
resize(struct worker *w, const struct resize_arg *a, struct error *err)
{
	struct stat st;
	struct grow g = { .roots = a->roots };
	auto_close int path = roots_open_path(a->roots, a->path);
	auto_close int fd = -1;

	if (path < 0 || fstat(path, &st) < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open it");
	if (S_ISBLK(st.st_mode))
		return check_device(a->roots, st.st_rdev, a->size, err);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "neither a directory, a file nor a block device");
	fd = path_reopen(path, O_RDONLY);
	if (fd < 0)
		return error_sys(err, "failed to open it");
	g.fd = fd;
	return grow_file_system(w, &g, a->size, err);
}

static int
resize_work(struct worker *w, void *arg, struct error *err)
{
	const struct resize_arg *a = arg;

	return resize(w, a, err);
}

static void
resize_on_done(struct job *job, const struct error *err, void *data)
{
	const struct resize_arg *a = data;
	struct error failed = *err;

	(void)job;
	if (err->code != ERROR_OK)
		error_wrap(&failed, "failed to resize volume %s", a->path);
	a->done(&failed, a->data);
}

static const struct job_ops resize_job = {
	.name = "resize volume",
	.work = resize_work,
	.done = resize_on_done,
};

struct pending *
volume_resize(const struct volume_parts *parts, const char *path, uint64_t size,
	      volume_done_fn *done, void *data, struct error *err)
{
	const struct roots *roots = parts->roots;
	const int fds[] = { roots->root, roots->sys, roots->dev, roots->run };
	struct job_spec spec = {
		.ops = &resize_job,
		.free_arg = free,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
		.deadline_ms = RESIZE_MS,
		.flags = JOB_GOES_ON,
	};
	struct resize_arg *arg;

	if (path[0] != '/' || strlen(path) >= PATH_MAX) {
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "invalid volume path \"%.128s\": not absolute, or too long", path);
		return NULL;
	}
	arg = malloc(sizeof(*arg) + strlen(path) + 1);
	if (!arg) {
		error_nomem(err, "resizing a volume");
		return NULL;
	}
	*arg = (struct resize_arg){ .roots = roots, .done = done, .data = data, .size = size };
	memcpy(arg->path, path, strlen(path) + 1);
	spec.arg = spec.data = arg;
	return job_pending(job_start(parts->jobs, &spec, err));
}
