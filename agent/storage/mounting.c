/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transitions of a storage: find its device, mount it, unmount it. The blocking part of each is
 * a job; everything here runs in the loop.
 */
#include "agent/storage/mounting.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/bus.h"
#include "agent/device/device.h"
#include "agent/storage/mount_point.h"
#include "agent/storage/storage_table.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/log_event.h"

/* Attempts to start the worker of an unmount: about as long as an unmount may take. */
#define UNMOUNT_TRIES    50
#define UNMOUNT_RETRY_MS 100
/* Times that an unmount is begun again after it failed. */
#define UNMOUNT_FAILURES_MAX 3
/* For a mount, in milliseconds: that of a share or a disk whose host does not answer never ends.
 * Hosts wait for 60 s. */
#define MOUNT_DEADLINE_MS 120000

static void storage_end(struct storage *s);
static void storage_unmount_later(struct storage *s, const struct error *err);
static void storage_unmount_again(void *data);
static void storage_begin_waiting(struct storages *t);

static int
mount_work(struct worker *w, void *arg, struct error *err)
{
	const struct storage *s = arg;

	return s->driver->mount(w, &s->mount, err);
}

static unsigned int
depth(const char *path)
{
	unsigned int n = 0;

	for (; *path; path++)
		n += *path == '/';
	return n;
}

/* Returns the length in bytes of the first n components of a path. */
static size_t
prefix(const char *path, unsigned int n)
{
	const char *end = path;

	for (; *end && n > 0; n--)
		end += 1 + strcspn(end + 1, "/");
	return (size_t)(end - path);
}

/* Adds directories that `from` created on the path to `to`: the last storage that needs them
 * removes them. */
static void
share_made(const struct storage *from, struct storage *to)
{
	unsigned int deep = depth(from->real), to_deep = depth(to->real);

	for (unsigned int i = 0; i < from->made; i++) {
		unsigned int level = deep - i;
		size_t n = prefix(from->real, level);
		unsigned int at = to_deep - level;

		if (level >= to_deep || at >= STORAGE_MADE_MAX ||
		    strncmp(from->real, to->real, n) != 0 || to->real[n] != '/')
			continue;
		if (to->made <= at)
			to->made = at + 1;
		if (from->files[i].ino != 0)
			to->files[at] = from->files[i];
	}
}

#define POINT_HEAD offsetof(struct storage_point, path)

static int
take_point(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct storage *s = data;
	const char *payload = m->payload;
	struct list *pos;

	(void)job;
	if (payload[m->size - 1] != '\0')
		return error_set(err, ERROR_INTERNAL, "worker sent an invalid mount point");
	memcpy(&s->made, payload, sizeof(s->made));
	memcpy(s->files, payload + offsetof(struct storage_point, files), sizeof(s->files));
	free(s->real);
	s->real = strdup(payload + POINT_HEAD);
	if (!s->real)
		return error_nomem(err, "recording a mount point");
	list_for_each (pos, &s->table->all) {
		struct storage *other = list_entry(pos, struct storage, node);

		if (other == s || !other->real)
			continue;
		share_made(other, s);
		share_made(s, other);
	}
	return 0;
}

static int
take_mounted(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct storage *s = data;

	(void)job;
	(void)err;
	memcpy(&s->id, m->payload, sizeof(s->id));
	storage_place_release(&s->place);
	s->place = (struct storage_place){ steal_fd(&m->fds[0]), steal_fd(&m->fds[1]) };
	return 0;
}

static int
take_copied(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct storage *s = data;

	(void)job;
	(void)err;
	memcpy(&s->source_dev, m->payload, sizeof(s->source_dev));
	s->is_copy = true;
	return 0;
}

static const struct job_message_type mount_messages[] = {
	[STORAGE_MSG_POINT] = { .handler = take_point,
				.size = POINT_HEAD + 1,
				.size_max = sizeof(struct storage_point) },
	[STORAGE_MSG_MOUNTED] = { .handler = take_mounted,
				  .size = sizeof(((struct storage *)NULL)->id),
				  .n_fds = 2 },
	[STORAGE_MSG_COPIED] = { .handler = take_copied,
				 .size = sizeof(((struct storage *)NULL)->source_dev) },
};

/* Keeps the copy like its source from now on. */
static void
mounting_begin_follow(struct storage *s)
{
	const struct follow_spec spec = { .source = s->spec->source,
					  .place = s->place.fd,
					  .dev = s->source_dev };
	const struct log_field fields[] = { { "source", s->spec->source } };
	struct error err = ERROR_INIT;

	s->follow = follow_start(s->table->followers, &spec, &err);
	if (!s->follow)
		log_event(LOG_LEVEL_ERROR, "storage", EVENT_VOLUME_STALE, fields, ARRAY_LEN(fields),
			  "volume %s will not be updated: %s", s->spec->source, err.msg);
}

static void
mount_done(struct job *job, const struct error *err, void *data)
{
	struct storage *s = data;
	struct error failed = *err;

	(void)job;
	s->job = NULL;
	if (err->code == ERROR_OK) {
		/* The storage is still wanted: a cancelled job does not succeed (job.h). */
		s->state = STORAGE_MOUNTED;
		if (s->is_copy)
			mounting_begin_follow(s);
		storage_wake_waiters(s->table, s, NULL);
		return;
	}
	error_wrap(&failed, "failed to mount storage %s (driver %s)", s->spec->mount_point,
		   s->spec->driver);
	/* Waiters of a cancelled mount start it again for themselves; those of a failed one
	 * fail. */
	storage_wake_waiters(s->table, s, s->unwanted ? NULL : &failed);
	storage_end(s);
}

static const struct job_ops mount_ops = {
	.name = "mount storage",
	.work = mount_work,
	.messages = mount_messages,
	.n_messages = ARRAY_LEN(mount_messages),
	.done = mount_done,
};

static int
storage_begin_mount(struct storage *s, struct error *err)
{
	struct job_spec spec = { .ops = &mount_ops, .arg = s, .data = s };
	const struct roots *roots = s->table->roots;
	/* There may be no cgroups. */
	int fds[] = { roots->proc, roots->sys, roots->root, roots->run, roots->cgroup };

	s->mount.spec = s->spec;
	s->mount.roots = s->table->roots;
	s->mount.owner = s->owner;
	s->mount.pull = &s->table->pull;
	s->mount.node = s->node_path[0] ? s->node_path : NULL;
	spec.keep_fds = fds;
	spec.n_keep_fds = ARRAY_LEN(fds) - (roots->cgroup < 0);
	spec.deadline_ms = MOUNT_DEADLINE_MS;
	if (s->driver->is_pull)
		spec.deadline_ms += s->table->pull.timeout_s * 1000ull;
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
	error_wrap(&failed, "failed to mount storage %s (driver %s)", s->spec->mount_point,
		   s->spec->driver);
	storage_wake_waiters(s->table, s, &failed);
	storage_free(s);
}

int
storage_begin(struct storage *s, struct error *err)
{
	struct device_address disk;

	if (!s->driver->is_disk)
		return storage_begin_mount(s, err);
	if (device_bus_parse(device_bus_find(s->spec->driver), s->spec->source, &disk, err) < 0)
		return -1;
	s->state = STORAGE_FINDING;
	s->finding = device_find(s->table->devices, &disk, on_device, s, err);
	return s->finding ? 0 : -1;
}

/* Records the first failure only. */
static void
release_failed(struct release *r, const struct error *err)
{
	if (r && r->first.code == ERROR_OK)
		r->first = *err;
}

/* Begins the unmount again in a moment, unless that was done `max` times. Returns whether it was
 * not. */
static bool
storage_unmount_in_a_moment(struct storage *s, unsigned int *times, unsigned int max)
{
	struct error ignored = ERROR_INIT;

	if ((*times)++ < max)
		s->retry = loop_timer(s->table->loop, UNMOUNT_RETRY_MS, storage_unmount_again, s,
				      &ignored);
	return s->retry != NULL;
}

/* Begins an unmount that failed again, unless it hung or failed too often. */
static bool
storage_retries_unmount(struct storage *s, const struct error *err)
{
	return err->code != ERROR_DEADLINE_EXCEEDED &&
	       storage_unmount_in_a_moment(s, &s->failures, UNMOUNT_FAILURES_MAX);
}

static void
unmount_done(struct job *job, const struct error *err, void *data)
{
	struct storage *s = data;
	struct error failed = *err;

	(void)job;
	s->job = NULL;
	if (err->code != ERROR_OK) {
		error_wrap(&failed, "failed to unmount storage %s", s->spec->mount_point);
		log_warn("storage", "%s", failed.msg);
		if (storage_retries_unmount(s, err))
			return;
		release_failed(s->release, &failed);
	}
	storage_wake_waiters(s->table, s, NULL);
	storage_end(s);
}

static int
unmount_work(struct worker *w, void *arg, struct error *err)
{
	return storage_unmount_work(w, arg, err);
}

/* Closes the loop's fds of the place: the worker has its own copies now. */
static int
unmount_close_place(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct storage *s = data;

	(void)m;
	(void)err;
	job_forget_fd(job, s->place.fd);
	job_forget_fd(job, s->place.parent);
	storage_place_release(&s->place);
	s->unmount.place = STORAGE_PLACE_NONE;
	return 0;
}

static int
unmount_releasing(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct storage *s = data;

	(void)job;
	(void)m;
	(void)err;
	s->unmount.is_released = true;
	return 0;
}

static const struct job_message_type unmount_messages[] = {
	[UNMOUNT_MSG_RELEASING] = { .handler = unmount_releasing },
	[UNMOUNT_MSG_CLOSE] = { .handler = unmount_close_place },
};

static const struct job_ops unmount_ops = {
	.name = "unmount storage",
	.work = unmount_work,
	.messages = unmount_messages,
	.n_messages = ARRAY_LEN(unmount_messages),
	.done = unmount_done,
};

/* Returns whether `path` or something below it appears in `text`, a path or an option. */
static bool
names_path(const char *text, const char *path)
{
	size_t len = strlen(path);

	for (const char *p = text; (p = strstr(p, path)); p++)
		if (p[len] == '/' || p[len] == ':' || p[len] == ',' || p[len] == '\0')
			return true;
	return false;
}

/* Returns whether s lies on `other`, or is made of it: a mount point below it, a bind of its files,
 * a layer of an overlay. */
static bool
storage_uses(const struct storage *s, const struct storage *other)
{
	const char *path = other->spec->mount_point;

	if (names_path(s->spec->mount_point, path) || names_path(s->spec->source, path))
		return true;
	for (size_t i = 0; i < s->spec->n_options; i++)
		if (names_path(s->spec->options[i], path))
			return true;
	return false;
}

/* Returns whether a storage that was made after s, and is ending, uses s. */
static bool
is_used(const struct storage *s)
{
	for (struct list *pos = s->node.next; pos != &s->table->all; pos = pos->next) {
		const struct storage *later = list_entry(pos, struct storage, node);

		if ((later->state == STORAGE_UNMOUNTING || later->unwanted) &&
		    storage_uses(later, s))
			return true;
	}
	return false;
}

static void
storage_begin_unmount(struct storage *s)
{
	const struct roots *roots = s->table->roots;
	const int fds[] = { s->place.fd, s->place.parent, roots->proc,
			    roots->sys,  roots->run,      roots->root };
	struct job_spec spec = { .ops = &unmount_ops,
				 .arg = &s->unmount,
				 .data = s,
				 .keep_fds = fds,
				 .n_keep_fds = ARRAY_LEN(fds),
				 .deadline_ms = UNMOUNT_DEADLINE_MS,
				 .flags = JOB_URGENT | JOB_AGAIN };
	struct error err = ERROR_INIT;

	follow_stop(s->follow);
	s->follow = NULL;
	s->unmount.has_copy = s->is_copy;
	s->unmount.path = s->real ? s->real : s->spec->mount_point;
	s->unmount.driver = s->driver;
	s->unmount.mount = &s->mount;
	s->unmount.place = s->place;
	s->unmount.id = s->id;
	s->unmount.made = s->made;
	memcpy(s->unmount.files, s->files, sizeof(s->files));
	s->job = job_start(s->table->jobs, &spec, &err);
	if (!s->job)
		storage_unmount_later(s, &err);
}

static void
storage_unmount_again(void *data)
{
	struct storage *s = data;

	s->retry = NULL;
	storage_begin_unmount(s);
}

/* Tries again to start the worker of an unmount, which was refused for the reason `err`. In the end
 * the storage stays mounted, and a request for it can use it. */
static void
storage_unmount_later(struct storage *s, const struct error *err)
{
	if (storage_unmount_in_a_moment(s, &s->tries, UNMOUNT_TRIES))
		return;
	log_error("storage", "storage %s is still mounted: %s", s->spec->mount_point, err->msg);
	s->state = STORAGE_MOUNTED;
	s->tries = 0;
	release_failed(s->release, err);
	storage_release_done(s);
	storage_wake_waiters(s->table, s, NULL);
	/* Those below it have waited for its end. */
	storage_begin_waiting(s->table);
}

/* Begins the unmounts that have waited for another storage's end. Last mounted first: one whose
 * unmount cannot begin stays mounted, and those below it must not wait for it. */
static void
storage_begin_waiting(struct storages *t)
{
	for (struct list *pos = t->all.prev; pos != &t->all; pos = pos->prev) {
		struct storage *s = list_entry(pos, struct storage, node);

		if (s->state == STORAGE_UNMOUNTING && !s->job && !s->retry && !is_used(s))
			storage_begin_unmount(s);
	}
}

static void
storage_end(struct storage *s)
{
	struct storages *t = s->table;

	storage_free(s);
	storage_begin_waiting(t);
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
		/* The undo has them, too, and closes them last. */
		storage_place_release(&s->place);
		wait_for_end(s, release);
		job_cancel(s->job, ERROR_CANCELLED, "the storage is no longer needed");
		return;
	case STORAGE_MOUNTED:
		if (!everything && s->is_settled && (s->driver->pod_lifetime || s->spec->shared))
			return;
		wait_for_end(s, release);
		s->state = STORAGE_UNMOUNTING;
		storage_begin_waiting(s->table);
		return;
	case STORAGE_UNMOUNTING:
		return;
	}
}
