/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a storage gets from one state to the next: find its device, mount it, unmount it. The blocking part of each
 * is a job; everything here runs in the loop.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/storage/point.h"
#include "agent/storage/private.h"
#include "lib/log.h"

static int
mount_work(struct worker *w, void *arg, struct error *err)
{
	const struct storage *s = arg;

	return s->driver->mount(w, &s->mount, err);
}

/* The outermost directory that was made for s: so many bytes of s->real; 0: none. */
static size_t
made_top(const struct storage *s)
{
	size_t n = s->real ? strlen(s->real) : 0;

	if (s->made == 0)
		return 0;
	for (unsigned int i = 1; i < s->made && n > 0; i++)
		while (n > 0 && s->real[--n] != '/')
			;
	return n;
}

/* Directories that another storage made on the way to this one are removed by the last that needs them. */
static void
share_made(struct storage *s)
{
	struct list *pos;

	list_for_each (pos, &s->table->all) {
		const struct storage *other = list_entry(pos, struct storage, node);
		size_t top = other == s ? 0 : made_top(other);
		unsigned int n = 1;

		if (top == 0 || strncmp(s->real, other->real, top) != 0 || s->real[top] != '/')
			continue;
		for (const char *c = s->real + top; *c; c++)
			n += *c == '/';
		if (n > s->made)
			s->made = n;
	}
}

static int
mount_message(struct job *job, uint32_t type, const void *payload, size_t size, int *fds,
	      size_t n_fds, void *data, struct error *err)
{
	struct storage *s = data;

	(void)job;
	for (size_t i = 0; i < n_fds; i++)
		(void)close(fds[i]);
	if (type != STORAGE_MSG_POINT || size <= offsetof(struct storage_point, path) ||
	    ((const char *)payload)[size - 1] != '\0')
		return error_set(err, ERROR_INTERNAL, "unexpected message %u of a mount", type);
	memcpy(&s->made, payload, sizeof(s->made));
	free(s->real);
	s->real = strdup((const char *)payload + offsetof(struct storage_point, path));
	if (!s->real)
		return error_nomem(err, "noting a mount point");
	share_made(s);
	return 0;
}

static void
mount_done(struct job *job, const struct error *err, void *data)
{
	struct storage *s = data;
	struct error failed = *err;

	(void)job;
	s->job = NULL;
	if (err->code == ERROR_OK) {
		s->state =
			STORAGE_MOUNTED; /* and wanted: what was cancelled does not succeed (job.h) */
		storage_wake_waiters(s->table, s, NULL);
		return;
	}
	error_wrap(&failed, "mount storage %s (driver %s)", s->spec->mount_point, s->spec->driver);
	/* waiters of a cancelled mount start it again for themselves; of a failed one, they fail */
	storage_wake_waiters(s->table, s, s->unwanted ? NULL : &failed);
	storage_free(s);
}

static const struct job_ops mount_ops = {
	.name = "mount storage",
	.work = mount_work,
	.message = mount_message,
	.done = mount_done,
};

static int
storage_begin_mount(struct storage *s, struct error *err)
{
	struct job_spec spec = { .ops = &mount_ops, .arg = s, .data = s };
	int fds[] = { s->table->roots->proc, s->table->roots->sys, s->table->roots->root };

	s->mount.spec = s->spec;
	s->mount.roots = s->table->roots;
	s->mount.node = s->node_path[0] ? s->node_path : NULL;
	spec.keep_fds = fds;
	spec.n_keep_fds = sizeof(fds) / sizeof(fds[0]);
	s->state = STORAGE_MOUNTING;
	s->job = job_start(s->table->jobs, &spec, err);
	return s->job ? 0 : -1;
}

static void
on_device(const struct error *err, const char *node, void *data)
{
	struct storage *s = data;
	struct error failed = ERROR_INIT;

	s->finding = NULL;
	if (node) {
		memcpy(s->node_path, node, strlen(node) + 1);
		if (storage_begin_mount(s, &failed) == 0)
			return;
	} else {
		failed = *err;
	}
	error_wrap(&failed, "mount storage %s (driver %s)", s->spec->mount_point, s->spec->driver);
	storage_wake_waiters(s->table, s, &failed);
	storage_free(s);
}

int
storage_begin(struct storage *s, struct error *err)
{
	if (!s->driver->needs_block_device)
		return storage_begin_mount(s, err);
	s->state = STORAGE_FINDING;
	s->finding = device_find_block(s->table->devices, s->spec->source, on_device, s, err);
	return s->finding ? 0 : -1;
}

/* Only the first failure is told. */
static void
release_failed(struct release *r, const struct error *err)
{
	if (r && r->first.code == ERROR_OK)
		r->first = *err;
}

static void
unmount_done(struct job *job, const struct error *err, void *data)
{
	struct storage *s = data;
	struct error failed = *err;

	(void)job;
	if (err->code != ERROR_OK) {
		error_wrap(&failed, "unmount storage %s", s->spec->mount_point);
		log_warn("storage", "%s", failed.msg);
		release_failed(s->release, &failed);
	}
	s->job = NULL;
	storage_wake_waiters(s->table, s, NULL);
	storage_free(s);
}

static int
unmount_work(struct worker *w, void *arg, struct error *err)
{
	return storage_unmount_work(w, arg, err);
}

static const struct job_ops unmount_ops = {
	.name = "unmount storage",
	.work = unmount_work,
	.done = unmount_done,
};

static void
storage_begin_unmount(struct storage *s)
{
	struct job_spec spec = { .ops = &unmount_ops,
				 .arg = &s->unmount,
				 .data = s,
				 .deadline_ms = UNMOUNT_DEADLINE_MS,
				 .flags = JOB_URGENT };
	struct error err = ERROR_INIT;

	s->state = STORAGE_UNMOUNTING;
	s->unmount.path = s->real ? s->real : s->spec->mount_point;
	s->unmount.mounted = s->driver->mounts;
	s->unmount.made = s->made;
	s->job = job_start(s->table->jobs, &spec, &err);
	if (s->job)
		return;
	log_error("storage", "storage %s stays mounted: %s", s->spec->mount_point, err.msg);
	s->state = STORAGE_MOUNTED;
	release_failed(s->release, &err);
	storage_release_done(s);
}

static void
wait_for_end(struct storage *s, struct release *release)
{
	if (!release || s->release)
		return;
	s->release = release;
	release->left++;
}

void
storage_unreferenced(struct storage *s, bool everything, struct release *release)
{
	switch (s->state) {
	case STORAGE_FINDING:
		storage_wake_waiters(s->table, s, NULL);
		storage_free(s);
		return;
	case STORAGE_MOUNTING:
		s->unwanted = true;
		wait_for_end(s, release);
		job_cancel(s->job, ERROR_CANCELLED, "nobody needs the storage any more");
		return;
	case STORAGE_MOUNTED:
		if (!everything && s->is_settled && (s->driver->pod_lifetime || s->spec->shared))
			return;
		wait_for_end(s, release);
		storage_begin_unmount(s);
		return;
	case STORAGE_UNMOUNTING:
		return;
	}
}
