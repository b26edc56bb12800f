/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of agent/files share, and nobody else sees. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/files/copy.h"
#include "agent/job/job.h"
#include "lib/list.h"

#define COPY_DATA_MAX (4u << 20) /* a frame has no more */
#define COPY_TEMP_MAX 32

enum copy_act {
	COPY_MAKE_DIR = 1,
	COPY_MAKE_LINK,
	COPY_WRITE, /* a part of a regular file */
	COPY_DROP,  /* what an unfinished one has left */
};

/* One thing for a copier to do. Plain data, in memory that is shared with it. */
struct copy_order {
	enum copy_act act;
	bool first, last; /* COPY_WRITE: begins, completes the file */
	uint32_t mode, dir_mode;
	uint32_t uid, gid;         /* UINT32_MAX: unchanged */
	uint64_t offset, dev, ino; /* dev, ino: of the temporary file, unless `first` */
	size_t len;                /* of the data */
	unsigned int
		made; /* so many of the last directories on the way were made by earlier parts */
	char temp[COPY_TEMP_MAX]; /* name beside the target; never "" */
	char path[PATH_MAX];      /* below the shared directory, without "", "." and ".." in it */
};

/* What became of it. */
struct copy_result {
	struct error err;
	uint64_t dev, ino; /* of the temporary file */
	unsigned int made; /* as in the order, with those of this part */
	bool is_clean;     /* a failure has left nothing; false: the copier died */
};

/* ---- copy_apply.c: what a copier does. Worker only: may block. ---- */

/* Does one order; run and proc as in struct roots. The result says it all. */
void copy_apply(int run, int proc, const struct copy_order *order, const uint8_t *data,
		struct copy_result *result);

/* ---- copy_worker.c: a process that does orders, one at a time ---- */

struct copy_worker;

/* The order that it was given has ended. Never from inside copy_worker_give(). */
typedef void copy_worker_done_fn(struct copy_worker *copier, const struct copy_result *result,
				 void *data);

/* It has gone, by itself after a while without orders, or with an order that failed (which done told before). */
typedef void copy_worker_gone_fn(struct copy_worker *copier, void *data);

struct copy_worker_spec {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	copy_worker_done_fn *done;
	copy_worker_gone_fn *gone;
	void *data;
};

struct copy_worker *copy_worker_new(const struct copy_worker_spec *spec, struct error *err);

/* Without its job, which must be gone. */
void copy_worker_free(struct copy_worker *copier);

/* Does it wait for an order? */
bool copy_worker_is_idle(const struct copy_worker *copier);

/* Takes copies of both. Only if it is idle. */
void copy_worker_give(struct copy_worker *copier, const struct copy_order *order,
		      const uint8_t *data);

/* In a list of its owner's. */
struct list *copy_worker_node(struct copy_worker *copier);
struct copy_worker *copy_worker_of_node(struct list *node);

/* ---- extents.c: which bytes of a file are there ---- */

#define EXTENTS_MAX 64

struct extents {
	unsigned int n;
	struct {
		uint64_t from, to;
	} at[EXTENTS_MAX]; /* in order, never touching each other */
};

/* Adds [from, to). False, and nothing is changed: that would be more than EXTENTS_MAX pieces. */
bool extents_add(struct extents *e, uint64_t from, uint64_t to);

/* Is there any byte of [from, to)? */
bool extents_overlap(const struct extents *e, uint64_t from, uint64_t to);

/* Is everything of [0, size) there? */
bool extents_cover(const struct extents *e, uint64_t size);

/* ---- copy_plan.c: what calls ask for, and what a copier is to do ---- */

/* A path with something under way: parts that wait or are being written, or a file that is not complete. */
struct target {
	struct list node;
	struct list parts;          /* struct copy; the first is with the copier, if there is one */
	struct copy_worker *copier; /* works on it */
	bool is_drop;               /* the copier removes what is left of it */
	bool is_unfinished;         /* the file has begun */
	bool is_spoilt;             /* something of it may be there that has to go */
	uint64_t file_size, dev, ino;
	unsigned int made;
	unsigned int drops; /* copiers that died while they removed what is left of it */
	uint64_t used_ns;
	struct extents there;
	char temp[COPY_TEMP_MAX];
	char path[]; /* below the shared directory */
};

/* One call's part. */
struct copy {
	struct list node;
	struct target *target;
	struct copy_part part;
	struct pending pending; /* not wanted: its data are gone */
	copy_done_fn *done;
	void *data;
};

/* Checks what can be checked without knowing what was before, and fills in the path below the shared directory. */
int copy_check(const struct copy_part *p, char path[PATH_MAX], struct error *err);

/* What the target's first part comes to: 0, or -1 and err. */
int copy_next_order(struct target *t, struct copy_order *o, struct error *err);

/* All but what there is to do. */
void copy_make_order(const struct target *t, const struct copy_part *p, struct copy_order *o);

/* A file begins, or has ended. */
void copy_set_unfinished(struct target *t, bool is_unfinished);
