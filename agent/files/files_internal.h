/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of agent/files only. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/files/copy.h"
#include "agent/job/job.h"
#include "lib/list.h"

/* the size limit of a frame */
#define COPY_DATA_MAX (4u << 20)
#define COPY_TEMP_MAX 32

enum copy_act {
	COPY_MAKE_DIR = 1,
	COPY_MAKE_LINK,
	/* writes a part of a regular file */
	COPY_WRITE,
	/* removes what an unfinished file has left */
	COPY_DROP,
};

/* One operation for a copy worker. Plain data, passed in shared memory. */
struct copy_order {
	enum copy_act act;
	/* COPY_WRITE: this part begins, completes the file */
	bool first, last;
	uint32_t mode, dir_mode;
	/* UINT32_MAX: unchanged */
	uint32_t uid, gid;
	/* dev, ino: of the temporary file, unless `first` */
	uint64_t offset, dev, ino;
	/* length of the data */
	size_t len;
	/* number of innermost parents that earlier parts have made */
	unsigned int made;
	/* name of the temporary file in the target's directory; never "" */
	char temp[COPY_TEMP_MAX];
	/* below the shared directory; no component is "", "." or ".." */
	char path[PATH_MAX];
};

/* The result of an order. */
struct copy_result {
	struct error err;
	/* identity of the temporary file */
	uint64_t dev, ino;
	/* as in the order, plus the parents that this part has made */
	unsigned int made;
	/* a failure has left nothing behind; false if the worker died */
	bool is_clean;
};

/* ---- copy_apply.c ---- */

/* Executes one order; run and proc are as in struct roots. Errors are in the result. Worker side:
 * may block. */
void copy_apply(int run, int proc, const struct copy_order *order, const uint8_t *data,
		struct copy_result *result);

/* ---- copy_worker.c: a process that executes orders, one at a time ---- */

struct copy_worker;

/* Called when an order has ended, never from inside copy_worker_give(). */
typedef void copy_worker_done_fn(struct copy_worker *worker, const struct copy_result *result,
				 void *data);

/* Called when the worker has exited: after being idle, or, after done reported the failure, during
 * an order. */
typedef void copy_worker_gone_fn(struct copy_worker *worker, void *data);

struct copy_worker_spec {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	copy_worker_done_fn *done;
	copy_worker_gone_fn *gone;
	void *data;
};

/* Starts a worker. Returns NULL and sets err on failure. */
struct copy_worker *copy_worker_new(const struct copy_worker_spec *spec, struct error *err);

/* Frees a worker whose job has ended. NULL is allowed. */
void copy_worker_free(struct copy_worker *worker);

/* Returns whether the worker can be given an order. */
bool copy_worker_is_idle(const struct copy_worker *worker);

/* Gives an order to an idle worker. Order and data are copied. */
void copy_worker_give(struct copy_worker *worker, const struct copy_order *order,
		      const uint8_t *data);

/* The worker's node in a list of its owner, and the worker of a node. */
struct list *copy_worker_node(struct copy_worker *worker);
struct copy_worker *copy_worker_of_node(struct list *node);

/* ---- extents.c: the bytes of a file that have been written ---- */

#define EXTENTS_MAX 64

struct extents {
	unsigned int n;
	struct {
		uint64_t from, to;
		/* sorted, and never touching each other */
	} at[EXTENTS_MAX];
};

/* Adds [from, to). Returns false and changes nothing if that would take more than EXTENTS_MAX
 * ranges. */
bool extents_add(struct extents *e, uint64_t from, uint64_t to);

/* Returns whether any byte of [from, to) is in the set. */
bool extents_overlap(const struct extents *e, uint64_t from, uint64_t to);

/* Returns whether all of [0, size) is in the set. */
bool extents_cover(const struct extents *e, uint64_t size);

/* ---- copy_plan.c ---- */

/* A path with pending parts or an unfinished file. */
struct target {
	struct list node;
	/* of struct copy; the worker, if there is one, executes the first */
	struct list parts;
	/* executes an order for this path, or NULL */
	struct copy_worker *worker;
	/* that order is COPY_DROP */
	bool is_drop;
	/* the regular file was begun and is not complete */
	bool is_unfinished;
	/* remains may exist that have to be removed */
	bool is_spoilt;
	uint64_t file_size, dev, ino;
	unsigned int made;
	/* workers that died while they removed the remains */
	unsigned int drops;
	uint64_t used_ns;
	struct extents there;
	char temp[COPY_TEMP_MAX];
	/* below the shared directory */
	char path[];
};

/* One call's part, in the queue of its target. */
struct copy {
	struct list node;
	struct target *target;
	struct copy_part part;
	/* once cancelled, part.data is no longer valid */
	struct pending pending;
	copy_done_fn *done;
	void *data;
};

/* Checks a part on its own, and fills in the path below the shared directory. Returns 0, or -1 and
 * sets err. */
int copy_check(const struct copy_part *p, char path[PATH_MAX], struct error *err);

/* Makes the order for the target's first part. Returns 0, or -1 and sets err. */
int copy_next_order(struct target *t, struct copy_order *o, struct error *err);

/* Fills in all fields of an order except act and the fields of COPY_WRITE. */
void copy_make_order(const struct target *t, const struct copy_part *p, struct copy_order *o);

/* Marks the target's file as begun, or as complete or abandoned. */
void copy_set_unfinished(struct target *t, bool is_unfinished);
