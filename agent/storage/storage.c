/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of storages, each a state machine keyed by its mount point:
 *
 *   (none) -> FINDING -> MOUNTING -> MOUNTED -> UNMOUNTING -> (none)
 *                 \__________\__ failed or no longer wanted: cancelled and undone -> (none)
 *
 * A request walks its list in order. It holds a reference on each storage that it has reached, and
 * waits at one that is not mounted yet. Jobs find the devices and mount; nothing here blocks.
 */
#include "agent/storage/storage.h"

#include <stdlib.h>
#include <string.h>

#include "agent/storage/layers.h"
#include "agent/storage/mounting.h"
#include "agent/storage/spec.h"
#include "agent/storage/storage_table.h"
#include "agent/storage/watchable.h"
#include "lib/cleanup.h"
#include "lib/log.h"

static void request_continue(void *data);

/* ---- table ---- */

struct storages *
storages_new(struct loop *loop, struct jobs *jobs, struct device_watch *devices,
	     const struct roots *roots, struct error *err)
{
	struct storages *t = calloc(1, sizeof(*t));

	if (!t) {
		error_nomem(err, "creating the table of storages");
		return NULL;
	}
	t->loop = loop;
	t->jobs = jobs;
	t->devices = devices;
	t->roots = roots;
	t->pull.timeout_s = 1200;
	list_init(&t->all);
	list_init(&t->requests);
	list_init(&t->releases);
	t->followers = followers_new(loop, jobs, roots, err);
	if (!t->followers) {
		free(t);
		return NULL;
	}
	return t;
}

static struct storage *
storage_new(struct storages *t, const char *owner, const struct storage_spec *spec,
	    struct error *err)
{
	struct storage *s = calloc(1, sizeof(*s));

	if (s) {
		s->spec = storage_spec_copy(spec);
		s->owner = strdup(owner);
	}
	if (!s || !s->spec || !s->owner) {
		if (s) {
			free(s->spec);
			free(s->owner);
		}
		free(s);
		error_nomem(err, "adding a storage");
		return NULL;
	}
	s->place = STORAGE_PLACE_NONE;
	s->table = t;
	s->driver = storage_driver_find(spec->driver);
	list_init(&s->refs);
	list_append(&t->all, &s->node);
	t->count++;
	return s;
}

void
storages_set_pull(struct storages *t, const struct storage_pull *pull)
{
	t->pull = *pull;
}

size_t
storages_count(const struct storages *t)
{
	return t->count;
}

bool
storages_has(const struct storages *t, const char *mount_point)
{
	return storage_find(t, mount_point) != NULL;
}

int32_t
storages_mount_id(const struct storages *t, const char *mount_point)
{
	const struct storage *s = storage_find(t, mount_point);

	return s ? s->id : 0;
}

/* ---- releases ---- */

static bool
is_ending(const struct storage *s)
{
	return s->state == STORAGE_UNMOUNTING || s->unwanted;
}

static void
release_look(void *data)
{
	struct release *r = data;
	const struct log_context *former;
	struct list *pos;

	if (r->left > 0)
		return;
	list_for_each (pos, &r->table->all)
		if (r->everything && is_ending(list_entry(pos, struct storage, node)))
			return;
	list_remove(&r->node);
	former = log_context_set(r->log);
	if (r->first.code != ERROR_OK)
		log_warn("storage", "%s", r->first.msg);
	r->done(&r->first, r->data);
	(void)log_context_set(former);
	log_context_free(r->log);
	free(r);
}

static struct release *
release_new(struct storages *t, storages_done_fn *done, void *data, struct error *err)
{
	struct release *r = calloc(1, sizeof(*r));

	if (!r) {
		error_nomem(err, "releasing storages");
		return NULL;
	}
	r->table = t;
	r->done = done;
	r->data = data;
	r->log = log_context_copy();
	post_init(&r->look, release_look, r);
	loop_post(t->loop, &r->look);
	list_append(&t->releases, &r->node);
	return r;
}

static void
ref_drop(struct ref *ref)
{
	list_remove(&ref->node);
	free(ref);
}

/* ---- requests ---- */

static void
request_free(struct storage_request *r)
{
	list_remove(&r->node);
	post_cancel(&r->look);
	for (size_t i = 0; i < r->n; i++)
		free(r->specs[i]);
	free(r->specs);
	free(r->owner);
	log_context_free(r->log);
	free(r);
}

/* Drops one reference of the request's owner on each of specs[0..count), the last one first. */
static void
request_give_back(struct storage_request *r, size_t count, struct release *release)
{
	while (count-- > 0) {
		struct storage *s = storage_find(r->table, r->specs[count]->mount_point);
		struct list *pos;

		if (!s)
			continue;
		list_for_each (pos, &s->refs) {
			struct ref *ref = list_entry(pos, struct ref, node);

			if (strcmp(ref->owner, r->owner) != 0)
				continue;
			ref_drop(ref);
			if (list_is_empty(&s->refs))
				storage_unreferenced(s, false, release);
			/* s may be freed by now. */
			break;
		}
	}
}

static void
request_finish(struct storage_request *r)
{
	storages_done_fn *done = r->done;
	void *data = r->data;
	struct error err = r->err;

	request_free(r);
	if (done)
		done(&err, data);
}

/* The storages of the request are released, or releasing them timed out (which is in the log). */
static void
request_gone(const struct error *err, void *data)
{
	(void)err;
	request_finish(data);
}

/* Drops all references of the request and waits until the storages that only it used are
 * released. */
static void
request_abort(struct storage_request *r)
{
	struct error err = ERROR_INIT;
	struct release *release = release_new(r->table, request_gone, r, &err);

	r->is_ending = true;
	r->waiting = NULL;
	if (!release)
		log_warn("storage", "not waiting for the unmounts of a failed request: %s",
			 err.msg);
	request_give_back(r, r->at, release);
	if (release)
		return;
	/* Deferred: the caller may be storages_abort(). */
	r->is_gone = true;
	loop_post(r->table->loop, &r->look);
}

static void
request_end(struct storage_request *r)
{
	if (r->err.code == ERROR_OK || r->at == 0)
		request_finish(r);
	else
		request_abort(r);
}

static struct ref *
ref_new(struct storage *s, const char *owner, struct error *err)
{
	size_t len = strlen(owner) + 1;
	struct ref *ref = malloc(sizeof(*ref) + len);

	if (!ref) {
		error_nomem(err, "referencing a storage");
		return NULL;
	}
	memcpy(ref->owner, owner, len);
	list_append(&s->refs, &ref->node);
	return ref;
}

/* Takes specs[at]. Returns 0 if it is taken or must be waited for (r->waiting set), -1 on
 * failure. */
static int
request_take(struct storage_request *r, struct error *err)
{
	const struct storage_spec *spec = r->specs[r->at];
	struct storage *s = storage_find(r->table, spec->mount_point);
	bool fresh = !s;

	if (s && is_ending(s)) {
		/* Waits until it is gone, then makes it anew. */
		r->waiting = s;
		return 0;
	}
	if (s && !storage_spec_same(s->spec, spec))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "storage %s: already mounted with driver %.32s, source %.64s",
				 spec->mount_point, s->spec->driver, s->spec->source);
	if (fresh)
		s = storage_new(r->table, r->owner, spec, err);
	if (!s)
		return -1;
	if (!ref_new(s, r->owner, err) || (fresh && storage_begin(s, err) < 0)) {
		if (fresh)
			storage_free(s);
		return error_wrap(err, "failed to mount storage %s (driver %s)", spec->mount_point,
				  spec->driver);
	}
	r->at++;
	if (s->state != STORAGE_MOUNTED)
		r->waiting = s;
	return 0;
}

/* Takes the remaining storages, and ends the request unless it has to wait. */
static void
request_advance(struct storage_request *r)
{
	if (r->is_ending) {
		if (r->is_gone)
			request_finish(r);
		return;
	}
	while (r->err.code == ERROR_OK && !r->waiting && r->at < r->n)
		(void)request_take(r, &r->err);
	if (r->waiting && r->err.code == ERROR_OK)
		return;
	r->waiting = NULL;
	request_end(r);
}

static void
request_continue(void *data)
{
	struct storage_request *r = data;
	const struct log_context *former = log_context_set(r->log);

	request_advance(r);
	(void)log_context_set(former);
}

static int
request_add(struct storage_request *r, const struct storage_spec *spec, struct error *err)
{
	r->specs[r->n] = storage_spec_copy(spec);
	return r->specs[r->n++] ? 0 : error_nomem(err, "referencing storages");
}

/* Adds the storages that the specs ask for: they are checked, layers of a root are replaced by what
 * they stand for, and the directory of a watchable volume comes before it. */
static int
request_fill(struct storage_request *r, const struct storage_spec *specs, size_t n,
	     struct error *err)
{
	auto_free struct storage_spec **copies = calloc(n + 1, sizeof(struct storage_spec *));
	/* The same by value. */
	auto_free struct storage_spec *plain = calloc(n + 1, sizeof(*plain));
	struct storage_layers layers = { 0 };
	int result = -1;

	if (!copies || !plain)
		return error_nomem(err, "referencing storages");
	for (size_t i = 0; i < n; i++) {
		copies[i] = storage_spec_copy(&specs[i]);
		if (!copies[i]) {
			error_nomem(err, "referencing storages");
			goto out;
		}
		if (storage_spec_check(copies[i], err) < 0)
			goto out;
		plain[i] = *copies[i];
	}
	if (storage_layers_plan(&layers, r->owner, plain, n, err) < 0)
		goto out;
	for (size_t i = 0; i < layers.n; i++)
		if (storage_spec_check(&layers.specs[i], err) < 0)
			goto out;
	for (size_t i = 0; i < n; i++) {
		const struct storage_spec *below = storage_watchable_directory(&plain[i]);

		if (storage_is_layer(&plain[i]))
			continue;
		if (below && request_add(r, below, err) < 0)
			goto out;
		r->specs[r->n++] = steal_ptr(&copies[i]);
	}
	for (size_t i = 0; i < layers.n; i++)
		if (request_add(r, &layers.specs[i], err) < 0)
			goto out;
	result = 0;
out:
	for (size_t i = 0; i < n; i++)
		free(copies[i]);
	storage_layers_release(&layers);
	return result;
}

struct storage_request *
storages_acquire(struct storages *t, const char *owner, const struct storage_spec *specs, size_t n,
		 storages_done_fn *done, void *data, struct error *err)
{
	struct storage_request *r = calloc(1, sizeof(*r));

	if (!r) {
		error_nomem(err, "referencing storages");
		return NULL;
	}
	list_init(&r->node);
	post_init(&r->look, request_continue, r);
	r->table = t;
	r->done = done;
	r->data = data;
	r->log = log_context_copy();
	r->owner = strdup(owner);
	r->specs = calloc(2 * n + 1, sizeof(*r->specs));
	if (!r->owner || !r->specs)
		error_nomem(err, "referencing storages");
	if (!r->owner || !r->specs || request_fill(r, specs, n, err) < 0) {
		request_free(r);
		return NULL;
	}
	loop_post(t->loop, &r->look);
	list_append(&t->requests, &r->node);
	return r;
}

void
storages_abort(struct storage_request *r, storages_done_fn *gone, void *data)
{
	if (!r)
		return;
	r->done = gone;
	r->data = data;
	r->err = ERROR_INIT;
	if (!r->is_ending)
		request_abort(r);
}

/* Fails the unfinished requests of the owner (NULL: of all owners). */
static void
requests_fail(struct storages *t, const char *owner)
{
	struct list *pos;

	list_for_each (pos, &t->requests) {
		struct storage_request *r = list_entry(pos, struct storage_request, node);

		if (r->is_ending || (owner && strcmp(r->owner, owner) != 0))
			continue;
		error_set(&r->err, ERROR_ABORTED, "the storages of this owner are being released");
		r->waiting = NULL;
		loop_post(t->loop, &r->look);
	}
}

/* Drops the owner's references (NULL: all). Returns whether there were any. */
static bool
refs_drop(struct storage *s, const char *owner)
{
	struct list *pos, *tmp;
	bool any = false;

	list_for_each_safe (pos, tmp, &s->refs) {
		struct ref *ref = list_entry(pos, struct ref, node);

		if (owner && strcmp(ref->owner, owner) != 0)
			continue;
		ref_drop(ref);
		any = true;
	}
	return any;
}

int
storages_release_owner(struct storages *t, const char *owner, storages_done_fn *done, void *data,
		       struct error *err)
{
	const bool everything = *owner == '\0';
	/* NULL: nothing waits for the releases. */
	struct release *r = release_new(t, done, data, err);
	struct list *pos, *prev;

	if (r)
		r->everything = everything;
	if (everything)
		owner = NULL;
	requests_fail(t, owner);
	/* Last mounted first. */
	for (pos = t->all.prev; pos != &t->all; pos = prev) {
		struct storage *s = list_entry(pos, struct storage, node);
		bool dropped = refs_drop(s, owner);

		prev = pos->prev;
		if ((dropped || everything) && list_is_empty(&s->refs))
			storage_unreferenced(s, everything, r);
	}
	return r ? 0 : -1;
}

void
storages_commit(struct storages *t, const char *owner)
{
	struct list *pos, *ref;

	list_for_each (pos, &t->all) {
		struct storage *s = list_entry(pos, struct storage, node);

		list_for_each (ref, &s->refs)
			if (strcmp(list_entry(ref, struct ref, node)->owner, owner) == 0)
				s->is_settled = true;
	}
}

void
storages_free(struct storages *t)
{
	struct list *pos, *tmp;

	if (!t)
		return;
	followers_free(t->followers);
	list_for_each_safe (pos, tmp, &t->all) {
		struct storage *s = list_entry(pos, struct storage, node);

		s->follow = NULL;
		storage_free(s);
	}
	list_for_each_safe (pos, tmp, &t->requests)
		request_free(list_entry(pos, struct storage_request, node));
	list_for_each_safe (pos, tmp, &t->releases) {
		struct release *r = list_entry(pos, struct release, node);

		post_cancel(&r->look);
		log_context_free(r->log);
		free(r);
	}
	free(t);
}
