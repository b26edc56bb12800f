/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop's side of CopyFile: a table of targets (paths with pending parts or an unfinished file)
 * and their workers. Touches no file.
 *
 *	 copies_submit()           copyfile_work()         the file is complete
 *	----------------> WAITING ----------------> WORKING -----------------------> freed
 *	                     ^                       | |  failed, an entry is left     ^
 *	           next part |                       | +---------------> SPOILT -------+
 *	                     |      more is missing  |                     ^    removed
 *	                 UNFINISHED <----------------+                     |
 *	                     |              no part for UNUSED_MS          |
 *	                     +---------------------------------------------+
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "agent/files/files_internal.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/log.h"

#define WORKERS_MAX 8
#define TARGETS_MAX 1024
/* attempts to remove what one unfinished file has left */
#define DROPS_MAX 5
/* an unfinished file is abandoned if no part arrives for this time */
#define UNUSED_MS 300000

struct copies {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	struct list targets;
	unsigned int n_targets, n_workers;
	struct list workers;
	/* runs copyfile_work() */
	struct post work;
	struct timer *sweep;
};

static struct target *copyfile_find_target(const struct copies *c, const char *path);
static struct target *copyfile_new_target(struct copies *c, const char *path, struct error *err);
static void copyfile_cancel(struct pending *p);
static void copyfile_work(void *data);
static bool copyfile_work_on(struct copies *c, struct target *t);
static struct copy_worker *copyfile_idle_worker(struct copies *c, struct error *err);
static void copyfile_on_result(struct copy_worker *worker, const struct copy_result *result,
			       void *data);
static void copyfile_on_worker_gone(struct copy_worker *worker, void *data);
static void copyfile_begin_sweep(struct copies *c);
static void copyfile_on_sweep(void *data);

static void
copyfile_free_target(struct copies *c, struct target *t)
{
	list_remove(&t->node);
	c->n_targets--;
	free(t);
}

/* Removes the target's first part and calls its done. */
static void
copyfile_end_part(struct target *t, const struct error *err)
{
	struct copy *copy = list_entry(t->parts.next, struct copy, node);
	copy_done_fn *done = pending_end(&copy->pending) ? copy->done : NULL;
	void *data = copy->data;

	list_remove(&copy->node);
	free(copy);
	if (done)
		done(err, data);
}

struct copies *
copies_new(struct loop *loop, struct jobs *jobs, const struct roots *roots, struct error *err)
{
	struct copies *c = calloc(1, sizeof(*c));

	if (!c) {
		error_nomem(err, "creating the table of copies");
		return NULL;
	}
	c->loop = loop;
	c->jobs = jobs;
	c->roots = roots;
	list_init(&c->targets);
	list_init(&c->workers);
	post_init(&c->work, copyfile_work, c);
	return c;
}

/* ---- a part arrives ---- */

struct pending *
copies_submit(struct copies *c, const struct copy_part *part, copy_done_fn *done, void *data,
	      struct error *err)
{
	char path[PATH_MAX];
	struct copy *copy;
	struct target *t;

	if (copy_check(part, path, err) < 0) {
		error_wrap(err, "failed to copy to \"%.256s\"", part->path);
		return NULL;
	}
	copy = calloc(1, sizeof(*copy));
	if (!copy) {
		error_nomem(err, "copying a file");
		return NULL;
	}
	t = copyfile_find_target(c, path);
	if (!t)
		t = copyfile_new_target(c, path, err);
	if (!t) {
		free(copy);
		return NULL;
	}
	*copy = (struct copy){
		.target = t,
		.part = *part,
		.pending.cancel = copyfile_cancel,
		.done = done,
		.data = data,
	};
	list_append(&t->parts, &copy->node);
	loop_post(c->loop, &c->work);
	return &copy->pending;
}

static struct target *
copyfile_find_target(const struct copies *c, const char *path)
{
	struct list *pos;

	list_for_each (pos, &c->targets) {
		struct target *t = list_entry(pos, struct target, node);

		if (strcmp(t->path, path) == 0)
			return t;
	}
	return NULL;
}

/* Makes a random hidden name for a temporary file in the target's directory. */
static void
copyfile_name_temp(char out[COPY_TEMP_MAX])
{
	uint64_t r = 0;

	if (RETRY_EINTR(getrandom(&r, sizeof(r), GRND_NONBLOCK)) != sizeof(r))
		/* so early after boot no container runs that could guess it */
		r = monotonic_ns();
	(void)snprintf(out, COPY_TEMP_MAX, ".tatami-%016llx", (unsigned long long)r);
}

static struct target *
copyfile_new_target(struct copies *c, const char *path, struct error *err)
{
	size_t len = strlen(path) + 1;
	struct target *t;

	if (c->n_targets >= TARGETS_MAX) {
		error_set(err, ERROR_RESOURCE_EXHAUSTED, "too many unfinished copies (%u)",
			  c->n_targets);
		return NULL;
	}
	t = calloc(1, sizeof(*t) + len);
	if (!t) {
		error_nomem(err, "copying a file");
		return NULL;
	}
	list_init(&t->parts);
	memcpy(t->path, path, len);
	copyfile_name_temp(t->temp);
	list_append(&c->targets, &t->node);
	c->n_targets++;
	return t;
}

/* Cancels a part. One that a worker is writing runs to its end. */
static void
copyfile_cancel(struct pending *p)
{
	struct copy *copy = pending_entry(p, struct copy, pending);
	struct target *t = copy->target;

	if (t->worker && !t->is_drop && t->parts.next == &copy->node)
		return;
	/* without this part the file cannot be completed, and copyfile_on_sweep() abandons it */
	list_remove(&copy->node);
	free(copy);
}

/* ---- assigning orders ---- */

/* Returns whether the target needs a worker now. Frees it if nothing of it is pending or
 * unfinished. */
static bool
copyfile_has_work(struct copies *c, struct target *t)
{
	if (t->worker)
		return false;
	if (t->is_spoilt || !list_is_empty(&t->parts))
		return true;
	if (!t->is_unfinished)
		copyfile_free_target(c, t);
	return false;
}

/* Serves the next target that needs a worker, in round-robin order. Serves one per turn of the
 * loop, since done() may change the list. */
static void
copyfile_work(void *data)
{
	struct copies *c = data;
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &c->targets) {
		struct target *t = list_entry(pos, struct target, node);

		if (!copyfile_has_work(c, t))
			continue;

		list_remove(&t->node);
		list_append(&c->targets, &t->node);
		if (copyfile_work_on(c, t))
			loop_post(c->loop, &c->work);
		return;
	}
}

/* Orders the removal of what is left of a file that will not be completed. */
static void
copyfile_give_drop(struct target *t, struct copy_worker *worker)
{
	static const struct copy_part nothing = { .uid = -1, .gid = -1 };
	struct copy_order o;

	copy_make_order(t, &nothing, &o);
	o.act = COPY_DROP;
	t->is_drop = true;
	t->worker = worker;
	copy_worker_give(worker, &o, NULL);
}

/* Assigns the target's next order to a worker. Returns false if all workers are busy. May call done
 * of a part. */
static bool
copyfile_work_on(struct copies *c, struct target *t)
{
	struct error err = ERROR_INIT;
	struct copy_worker *worker = copyfile_idle_worker(c, &err);
	struct copy_order o;
	struct copy *copy;

	if (!worker && err.code == ERROR_OK)
		return false;
	if (!worker && t->is_spoilt) {
		log_warn("files", "temporary file %s of %s may be left: %s", t->temp, t->path,
			 err.msg);
		t->is_spoilt = false;
		return true;
	}
	if (!worker) {
		copyfile_end_part(t, &err);
		return true;
	}
	if (t->is_spoilt) {
		copyfile_give_drop(t, worker);
		return true;
	}
	t->used_ns = monotonic_ns();
	copy = list_entry(t->parts.next, struct copy, node);
	if (copy_next_order(t, &o, &err) == 0) {
		t->worker = worker;
		copy_worker_give(worker, &o, copy->part.data);
		return true;
	}
	t->is_spoilt = t->is_unfinished;
	copy_set_unfinished(t, false);
	copyfile_end_part(t, &err);
	return true;
}

/* Returns an idle worker, or a new one. Returns NULL without an error if all are busy, or NULL and
 * sets err. */
static struct copy_worker *
copyfile_idle_worker(struct copies *c, struct error *err)
{
	const struct copy_worker_spec spec = {
		.loop = c->loop,
		.jobs = c->jobs,
		.roots = c->roots,
		.done = copyfile_on_result,
		.gone = copyfile_on_worker_gone,
		.data = c,
	};
	struct copy_worker *worker;
	struct list *pos;

	list_for_each (pos, &c->workers)
		if (copy_worker_is_idle(copy_worker_of_node(pos)))
			return copy_worker_of_node(pos);
	if (c->n_workers >= WORKERS_MAX)
		return NULL;
	worker = copy_worker_new(&spec, err);
	if (!worker)
		return NULL;
	list_append(&c->workers, copy_worker_node(worker));
	c->n_workers++;
	return worker;
}

/* ---- results ---- */

static struct target *
copyfile_target_of(const struct copies *c, const struct copy_worker *worker)
{
	struct list *pos;

	list_for_each (pos, &c->targets) {
		struct target *t = list_entry(pos, struct target, node);

		if (t->worker == worker)
			return t;
	}
	return NULL;
}

/* Updates the target after an order: complete, still unfinished, or failed with something left to
 * remove. */
static void
copyfile_take_result(struct copies *c, struct target *t, const struct copy_result *r, bool is_write)
{
	if (r->err.code == ERROR_OK && is_write && t->is_unfinished &&
	    !extents_cover(&t->there, t->file_size)) {
		t->dev = r->dev;
		t->ino = r->ino;
		t->made = r->made;
		copyfile_begin_sweep(c);
		return;
	}
	t->is_spoilt = r->err.code != ERROR_OK && !r->is_clean;
	if (!t->is_spoilt)
		t->made = 0;
	copy_set_unfinished(t, false);
}

/* Handles the result of a removal. If the worker died, another one tries again, up to DROPS_MAX
 * times. */
static void
copyfile_end_drop(struct target *t, const struct copy_result *r)
{
	t->is_drop = false;
	if (r->err.code != ERROR_OK && !r->is_clean && ++t->drops < DROPS_MAX)
		return;
	if (r->err.code != ERROR_OK)
		log_warn("files", "temporary file %s of %s may be left: %s", t->temp, t->path,
			 r->err.msg);
	t->is_spoilt = false;
	t->made = t->drops = 0;
}

static void
copyfile_on_result(struct copy_worker *worker, const struct copy_result *result, void *data)
{
	struct copies *c = data;
	struct target *t = copyfile_target_of(c, worker);
	struct error err = result->err;
	struct copy *copy;

	loop_post(c->loop, &c->work);
	if (!t)
		return;
	t->worker = NULL;
	t->used_ns = monotonic_ns();
	if (t->is_drop) {
		copyfile_end_drop(t, result);
		return;
	}
	copy = list_entry(t->parts.next, struct copy, node);
	copyfile_take_result(c, t, result, S_ISREG(copy->part.file_mode));
	if (err.code != ERROR_OK && !result->is_clean)
		error_wrap(&err, "failed to copy to " COPY_DIR "%s", t->path);
	copyfile_end_part(t, &err);
}

static void
copyfile_on_worker_gone(struct copy_worker *worker, void *data)
{
	struct copies *c = data;

	copy_worker_free(worker);
	c->n_workers--;
	loop_post(c->loop, &c->work);
}

/* ---- unfinished files ---- */

unsigned int
copies_unfinished(const struct copies *c)
{
	const struct list *pos;
	unsigned int n = 0;

	list_for_each (pos, &c->targets)
		n += list_entry(pos, struct target, node)->is_unfinished;
	return n;
}

static void
copyfile_begin_sweep(struct copies *c)
{
	struct error err = ERROR_INIT;

	if (c->sweep || copies_unfinished(c) == 0)
		return;
	c->sweep = loop_timer(c->loop, UNUSED_MS / 4, copyfile_on_sweep, c, &err);
	if (!c->sweep)
		log_warn("files", "unfinished copies will not time out: %s", err.msg);
}

/* Abandons files that got no part for UNUSED_MS. */
static void
copyfile_on_sweep(void *data)
{
	struct copies *c = data;
	uint64_t now = monotonic_ns();
	struct list *pos;

	c->sweep = NULL;
	list_for_each (pos, &c->targets) {
		struct target *t = list_entry(pos, struct target, node);

		if (!t->is_unfinished || t->worker || !list_is_empty(&t->parts) ||
		    now - t->used_ns < UNUSED_MS * NS_PER_MS)
			continue;
		log_warn("files", "copy to " COPY_DIR "%s timed out unfinished", t->path);
		copy_set_unfinished(t, false);
		t->is_spoilt = true;
	}
	copyfile_begin_sweep(c);
	loop_post(c->loop, &c->work);
}

void
copies_free(struct copies *c)
{
	if (!c)
		return;
	post_cancel(&c->work);
	timer_cancel(c->sweep);
	while (!list_is_empty(&c->workers))
		copy_worker_free(copy_worker_of_node(c->workers.next));
	while (!list_is_empty(&c->targets)) {
		struct target *t = list_entry(c->targets.next, struct target, node);

		while (!list_is_empty(&t->parts)) {
			struct copy *copy = list_entry(t->parts.next, struct copy, node);

			list_remove(&copy->node);
			free(copy);
		}
		copyfile_free_target(c, t);
	}
	free(c);
}
