/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UpdateEphemeralMounts: resizes the pod's memory volumes after its memory has changed. Mounted
 * volumes are reconfigured through fspick(2), which keeps options that are not named; a remount by
 * mount(2) would drop nosuid and noexec. New volumes become ordinary storages of the sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/storage/spec.h"
#include "agent/storage/volume.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/mountopt.h"
#include "lib/path.h"
#include "lib/sys.h"

#define REMOUNT_MS 30000
#define WORD_MAX   256
#define UPDATE_MAX 256

struct specs {
	size_t n;
	/* owned */
	struct storage_spec *at[UPDATE_MAX];
	/* The mount's id, 0: unknown. */
	int32_t id[UPDATE_MAX];
};

struct remount_arg {
	const struct roots *roots;
	struct specs specs;
};

struct ephemeral_update {
	struct volume_parts parts;
	/* Storages that are not mounted yet. */
	struct specs new;
	/* The same as an array, for storages_acquire(). */
	struct storage_spec *plain;
	struct remount_arg *remounts;
	struct storage_request *request;
	/* The operation completes even if it is unwanted. */
	struct pending pending;
	volume_done_fn *done;
	void *data;
};

static bool
is_remount(const struct storage_spec *spec)
{
	for (size_t i = 0; i < spec->n_options; i++)
		if (strcmp(spec->options[i], "remount") == 0)
			return true;
	return false;
}

static void
release_specs(struct specs *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->at[i]);
	s->n = 0;
}

static void
free_remounts(void *arg)
{
	struct remount_arg *r = arg;

	if (r)
		release_specs(&r->specs);
	free(r);
}

/* ---- in the worker ---- */

/* A tmpfs whose options change. */
struct remount {
	const struct storage_spec *spec;
	/* The expected mount id, 0: any. */
	int32_t id;
	/* Its root directory, O_PATH. */
	int fd;
	/* The fd of fspick(2); -1: not begun. */
	int fs;
	/* The size before in bytes; 0: no limit. */
	uint64_t size;
	struct mountopts flags;
};

static int
pick(struct remount *r, struct error *err)
{
	close_fd(&r->fs);
	r->fs = sys_fspick(r->fd, "", SYS_FSPICK_CLOEXEC | SYS_FSPICK_EMPTY_PATH);
	return r->fs < 0 ? error_sys(err, "failed to begin the reconfiguration") : 0;
}

/* Sets err with the reason given by the file system, such as "e tmpfs: Too small a size for current
 * use". */
static int
error_fs(struct error *err, const struct remount *r, const char *what)
{
	int errnum = errno;
	char text[200];
	ssize_t n = RETRY_EINTR(read(r->fs, text, sizeof(text) - 1));

	errno = errnum;
	if (n <= 2)
		return error_sys(err, "%s", what);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return error_sys_code(err, ERROR_INVALID_ARGUMENT, "%s: %s", what, text + 2);
}

static int
set_option(struct remount *r, const char *word, struct error *err)
{
	static const char *const not_for_kernel[] = { "io.katacontainers.", "X-kata.",
						      "fsgid=", NULL };
	char key[WORD_MAX];
	char *value;

	if (mountopt_find(word)) {
		(void)mountopts_add(&r->flags, word, NULL);
		return 0;
	}
	for (size_t i = 0; not_for_kernel[i]; i++)
		if (strncmp(word, not_for_kernel[i], strlen(not_for_kernel[i])) == 0)
			return 0;
	if ((size_t)snprintf(key, sizeof(key), "%s", word) >= sizeof(key))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "mount option \"%.32s...\" is too long", word);
	value = strchr(key, '=');
	if (value)
		*value++ = '\0';
	if (sys_fsconfig(r->fs, value ? SYS_FSCONFIG_SET_STRING : SYS_FSCONFIG_SET_FLAG, key, value,
			 0) < 0)
		return error_fs(err, r, word);
	return 0;
}

/* Opens the mount and stages its options; changes nothing yet. */
static int
update_prepare(struct remount *r, const struct roots *roots, struct error *err)
{
	struct statfs st;

	r->fd = roots_open_path(roots, r->spec->mount_point);
	if (r->fd < 0)
		return error_sys(err, "failed to open it");
	/* A container may have renamed a directory on the path. */
	if (r->id > 0 && sys_mount_id(r->fd, "", AT_EMPTY_PATH) != r->id)
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the path leads to a different mount");
	if (fstatfs(r->fd, &st) < 0)
		return error_sys(err, "failed to stat it");
	if (st.f_type != TMPFS_MAGIC || sys_is_mount_root(r->fd) != 1)
		return error_set(err, ERROR_FAILED_PRECONDITION, "no tmpfs is mounted there");
	r->size = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;
	if (pick(r, err) < 0)
		return -1;
	for (size_t i = 0; i < r->spec->n_options; i++)
		if (set_option(r, r->spec->options[i], err) < 0)
			return -1;
	return 0;
}

static int
set_flags(const struct remount *r, struct error *err)
{
	unsigned long flags = r->flags.flags;
	struct sys_mount_attr attr = { .attr_set = mountopt_attrs(flags) };

	if (flags & MOUNTOPT_ATIME)
		attr.attr_clr = MOUNT_ATTR__ATIME;
	if (attr.attr_set == 0 && attr.attr_clr == 0)
		return 0;
	if (sys_mount_setattr(r->fd, "", AT_EMPTY_PATH, &attr) < 0)
		return error_sys(err, "failed to set its flags");
	return 0;
}

static int
update_apply(const struct remount *r, struct error *err)
{
	if (sys_fsconfig(r->fs, SYS_FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return error_fs(err, r, "failed to reconfigure it");
	return set_flags(r, err);
}

/* Restores the previous size. */
static void
take_back(struct worker *w, struct remount *r)
{
	struct error err = ERROR_INIT;
	char size[32];

	(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)r->size);
	if (pick(r, &err) == 0 &&
	    sys_fsconfig(r->fs, SYS_FSCONFIG_SET_STRING, "size", size, 0) == 0 &&
	    sys_fsconfig(r->fs, SYS_FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) == 0)
		return;
	worker_log(w, LOG_LEVEL_WARN, "failed to restore the size of %s", r->spec->mount_point);
}

static int
remount_all(struct worker *w, const struct remount_arg *a, struct remount *list, struct error *err)
{
	const struct storage_spec *spec = NULL;
	size_t n = a->specs.n, done = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		spec = list[i].spec;
		r = update_prepare(&list[i], a->roots, err);
	}
	while (r == 0 && done < n) {
		spec = list[done].spec;
		r = update_apply(&list[done], err);
		done += r == 0;
	}
	if (r == 0)
		return 0;
	while (done-- > 0)
		take_back(w, &list[done]);
	return error_wrap(err, "failed to remount %s", spec->mount_point);
}

static int
remount_work(struct worker *w, void *arg, struct error *err)
{
	const struct remount_arg *a = arg;
	auto_free struct remount *list = calloc(a->specs.n, sizeof(*list));

	if (!list)
		return error_nomem(err, "remounting a volume");
	for (size_t i = 0; i < a->specs.n; i++)
		list[i] = (struct remount){
			.spec = a->specs.at[i], .id = a->specs.id[i], .fd = -1, .fs = -1
		};
	/* The worker's fds are closed when it exits. */
	return remount_all(w, a, list, err);
}

/* ---- in the loop ---- */

static void
free_update(struct ephemeral_update *u)
{
	release_specs(&u->new);
	free_remounts(u->remounts);
	free(u->plain);
	free(u);
}

static void
update_finish(struct ephemeral_update *u, const struct error *err)
{
	if (pending_end(&u->pending))
		u->done(err, u->data);
	free_update(u);
}

static void
on_remounted(struct job *job, const struct error *err, void *data)
{
	(void)job;
	update_finish(data, err);
}

static const struct job_ops remount_job = {
	.name = "update ephemeral mounts",
	.work = remount_work,
	.done = on_remounted,
};

static int
begin_remounts(struct ephemeral_update *u, struct error *err)
{
	const struct roots *roots = u->parts.roots;
	const int fds[] = { roots->root, roots->proc, roots->run };
	struct remount_arg *arg = steal_ptr(&u->remounts);
	const struct job_spec spec = {
		.ops = &remount_job,
		.arg = arg,
		.free_arg = free_remounts,
		.data = u,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
		.deadline_ms = REMOUNT_MS,
	};

	return job_start(u->parts.jobs, &spec, err) ? 0 : -1;
}

static void
on_mounted(const struct error *err, void *data)
{
	struct ephemeral_update *u = data;
	struct error why = *err;

	u->request = NULL;
	if (why.code == ERROR_OK && u->remounts->specs.n > 0 && begin_remounts(u, &why) == 0)
		return;
	update_finish(u, &why);
}

/* Mounts storages that are not mounted yet. Without any, starts the remounts at once, even
 * an empty list. */
static int
begin(struct ephemeral_update *u, struct error *err)
{
	if (u->new.n == 0)
		return begin_remounts(u, err);
	u->plain = calloc(u->new.n, sizeof(*u->plain));
	if (!u->plain)
		return error_nomem(err, "updating ephemeral mounts");
	for (size_t i = 0; i < u->new.n; i++)
		u->plain[i] = *u->new.at[i];
	u->request =
		storages_acquire(u->parts.storages, "", u->plain, u->new.n, on_mounted, u, err);
	return u->request ? 0 : -1;
}

/* Appends a copy of the spec to the list that it belongs to. */
static int
sort_in(struct ephemeral_update *u, const struct storage_spec *spec, struct error *err)
{
	auto_free struct storage_spec *copy = NULL;
	struct specs *list;

	if (strcmp(spec->driver, "ephemeral") != 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"storage %.128s: driver %.64s cannot be updated, only ephemeral can",
			spec->mount_point, spec->driver);
	copy = storage_spec_copy(spec);
	if (!copy)
		return error_nomem(err, "updating ephemeral mounts");
	if (storage_spec_check(copy, err) < 0)
		return -1;
	if (!is_remount(copy) && storages_has(u->parts.storages, copy->mount_point))
		return 0;
	list = is_remount(copy) ? &u->remounts->specs : &u->new;
	list->id[list->n] = storages_mount_id(u->parts.storages, copy->mount_point);
	list->at[list->n++] = steal_ptr(&copy);
	return 0;
}

struct pending *
ephemeral_update(const struct volume_parts *parts, const struct storage_spec *specs, size_t n,
		 volume_done_fn *done, void *data, struct error *err)
{
	struct ephemeral_update *u = calloc(1, sizeof(*u));
	int r = 0;

	if (n > UPDATE_MAX)
		error_set(err, ERROR_RESOURCE_EXHAUSTED, "too many storages in one call: %zu", n);
	if (u && n <= UPDATE_MAX)
		u->remounts = calloc(1, sizeof(*u->remounts));
	if (!u || !u->remounts) {
		free(u);
		if (n <= UPDATE_MAX)
			error_nomem(err, "updating ephemeral mounts");
		return NULL;
	}
	u->parts = *parts;
	u->remounts->roots = parts->roots;
	u->pending.cancel = pending_go_on;
	u->done = done;
	u->data = data;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = sort_in(u, &specs[i], err);
	if (r == 0 && begin(u, err) == 0)
		return &u->pending;
	free_update(u);
	return NULL;
}
