/* SPDX-License-Identifier: Apache-2.0 */
/* AddSwap and AddSwapPath: the loop finds the device, a worker calls swapon(2), which reads from
 * the disk. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "agent/device/device.h"
#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "agent/storage/volume.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"

#define SWAP_MS 60000
/* At the end of the first page (mkswap(8)). */
#define SIGNATURE "SWAPSPACE2"
#define SWAPS_MAX 8192

struct swap_add {
	struct volume_parts parts;
	/* The wait for the device; NULL: the worker has been started. */
	struct pending *wait;
	struct pending pending;
	volume_done_fn *done;
	void *data;
	char location[];
};

struct swap_arg {
	const struct roots *roots;
	char path[];
};

/* ---- in the worker ---- */

/* Returns whether /proc/swaps lists path. */
static bool
is_in_use(int proc, const char *path)
{
	auto_free char *text = malloc(SWAPS_MAX);
	char *rest = text, *line;
	size_t len = strlen(path);

	if (!text || read_text_at(proc, "swaps", text, SWAPS_MAX) < 0)
		return false;
	while ((line = strsep(&rest, "\n")) != NULL)
		if (strncmp(line, path, len) == 0 && (line[len] == ' ' || line[len] == '\t'))
			return true;
	return false;
}

static int
check_signature(int fd, const char *path, struct error *err)
{
	long page = sysconf(_SC_PAGESIZE);
	char signature[sizeof(SIGNATURE) - 1] = { 0 };
	auto_close int in = path_reopen(fd, O_RDONLY);

	if (in < 0)
		return error_sys(err, "failed to open %s", path);
	if (RETRY_EINTR(pread(in, signature, sizeof(signature), page - (long)sizeof(signature))) !=
		    (ssize_t)sizeof(signature) ||
	    memcmp(signature, SIGNATURE, sizeof(signature)) != 0)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "no swap signature on %s: run mkswap first", path);
	return 0;
}

static int
swap_work(struct worker *w, void *arg, struct error *err)
{
	const struct swap_arg *a = arg;
	char link[64], real[PATH_MAX];
	struct stat st;
	auto_close int fd = -1;

	(void)w;
	storage_await_disk(a->roots, a->path);
	fd = roots_open_path(a->roots, a->path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open %s", a->path);
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is neither a block device nor a file", a->path);
	if (check_signature(fd, a->path, err) < 0)
		return -1;
	if (swapon(path_of_fd(fd, link), 0) == 0)
		return 0;
	if (errno != EBUSY)
		return error_sys(err, "failed to resolve the path of %s", a->path);
	/* A repeated call: the reply to the first one may have been lost. */
	if (path_real(fd, real) > 0 && is_in_use(a->roots->proc, real))
		return 0;
	errno = EBUSY;
	return error_sys(err, "failed to swap to %s", a->path);
}

/* ---- in the loop ---- */

static void
swap_finish(struct swap_add *s, const struct error *err)
{
	volume_done_fn *done = pending_end(&s->pending) ? s->done : NULL;
	void *data = s->data;

	free(s);
	if (done)
		done(err, data);
}

static void
swap_on_done(struct job *job, const struct error *err, void *data)
{
	(void)job;
	swap_finish(data, err);
}

static const struct job_ops swap_job = {
	.name = "add swap",
	.work = swap_work,
	.done = swap_on_done,
};

static int
begin(struct swap_add *s, const char *path, struct error *err)
{
	const struct roots *roots = s->parts.roots;
	const int fds[] = { roots->root, roots->proc, roots->run };
	struct swap_arg *arg = malloc(sizeof(*arg) + strlen(path) + 1);
	const struct job_spec spec = {
		.ops = &swap_job,
		.arg = arg,
		.free_arg = free,
		.data = s,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
		.deadline_ms = SWAP_MS,
	};

	if (!arg)
		return error_nomem(err, "adding swap");
	arg->roots = roots;
	memcpy(arg->path, path, strlen(path) + 1);
	return job_start(s->parts.jobs, &spec, err) ? 0 : -1;
}

static void
on_found(const struct error *err, const char *node, void *data)
{
	struct swap_add *s = data;
	struct error why = *err;

	s->wait = NULL;
	if (node && begin(s, node, &why) == 0)
		return;
	error_wrap(&why, "failed to add swap");
	swap_finish(s, &why);
}

/* Cancels the wait for a device; a running swapon(2) completes. */
static void
swap_unwanted(struct pending *p)
{
	struct swap_add *s = pending_entry(p, struct swap_add, pending);

	if (!s->wait)
		return;
	pending_cancel(&s->wait);
	free(s);
}

/* Returns whether location is a device, which may still appear. */
static bool
is_device(const char *location)
{
	return location[0] != '/' ||
	       (strncmp(location, "/dev/", 5) == 0 && !strchr(location + 5, '/'));
}

struct pending *
swap_add(const struct volume_parts *parts, const char *location, volume_done_fn *done, void *data,
	 struct error *err)
{
	struct device_address disk;
	struct swap_add *s;
	int r;

	if (strlen(location) >= PATH_MAX) {
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "failed to add swap: path \"%.128s\" is too long", location);
		return NULL;
	}
	s = calloc(1, sizeof(*s) + strlen(location) + 1);
	if (!s) {
		error_nomem(err, "adding swap");
		return NULL;
	}
	s->parts = *parts;
	s->pending.cancel = swap_unwanted;
	s->done = done;
	s->data = data;
	memcpy(s->location, location, strlen(location) + 1);
	if (is_device(location)) {
		r = device_bus_parse(device_bus_find("blk"), location, &disk, err);
		if (r == 0)
			s->wait = device_find(parts->devices, &disk, on_found, s, err);
		if (!s->wait)
			r = -1;
	} else {
		r = begin(s, s->location, err);
	}
	if (r == 0)
		return &s->pending;
	error_wrap(err, "failed to add swap");
	free(s);
	return NULL;
}
