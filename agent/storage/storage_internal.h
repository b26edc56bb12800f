/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the storage table share among themselves; nobody else includes it. */
#pragma once

#include <stdbool.h>

#include "agent/device/device.h"
#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "agent/storage/mount_point.h"
#include "agent/storage/storage.h"
#include "agent/storage/unmount.h"
#include "lib/list.h"
#include "lib/log.h"

enum storage_state {
	STORAGE_FINDING,
	STORAGE_MOUNTING,
	STORAGE_MOUNTED,
	STORAGE_UNMOUNTING,
};

struct storages {
	struct loop *loop;
	struct jobs *jobs;
	struct device_watch *devices;
	const struct roots *roots;
	struct list all;
	struct list requests;
	struct list releases;
	size_t count;
};

/* An owner's reference; one per request that asked for it. */
struct ref {
	struct list node;
	char owner[];
};

struct storage {
	struct list node;
	struct storages *table;
	enum storage_state state;
	struct storage_spec *spec;
	const struct storage_driver *driver;
	struct list refs;
	char node_path[DEVICE_NODE_MAX]; /* "" if it has no device */
	char *real;                      /* mount point without symlinks, once known */
	struct storage_mount mount;      /* argument of the mount job */
	uint32_t made;                   /* components of it that mounts made, from the end */
	struct storage_file files[STORAGE_MADE_MAX]; /* which those are; 0, 0: unknown */
	struct storage_place place;                  /* once it is mounted */
	int32_t id;                                  /* of the mount, 0: it is only a directory */
	struct unmount unmount;                      /* argument of the unmount job */
	struct pending *finding;
	struct job *job;
	bool unwanted;   /* MOUNTING: cancelled, the undo is running */
	bool is_settled; /* an owner that came about has it: a pod's volume stays when he goes */
	struct release *release; /* waits for its end; NULL: none */
};

struct storage_request {
	struct list node;
	struct storages *table;
	char *owner;
	struct storage_spec **specs;
	size_t n, at; /* specs[0..at) are taken */
	struct storage *waiting;
	storages_done_fn *done; /* NULL: cancelled by a caller who waits for nothing */
	void *data;
	bool is_ending;   /* what it took is being given back; done follows */
	bool is_gone;     /* nothing is waited for any more: done follows in the next round */
	struct post look; /* at its storages again */
	struct error err;
	struct log_context *log; /* of the call that asks for them */
};

/* storages_release_owner() that waits for unmounts. */
struct release {
	struct list node;
	struct storages *table;
	storages_done_fn *done;
	void *data;
	bool everything; /* waits for whatever is ending, whoever ended it */
	size_t left;     /* storages whose `release` this is */
	struct error first;
	struct post look; /* whether it is over */
	struct log_context *log;
};

/* storage.c: the table and who waits for what. */
struct storage *storage_find(const struct storages *t, const char *mount_point);
/* Also tells the releases that wait for its end. */
void storage_free(struct storage *s);
/* Makes every request that waits for s look again in the loop's next round; with err, fail. */
void storage_wake_waiters(struct storages *t, const struct storage *s, const struct error *err);
/* s does not end now after all, or has ended: whoever waited for that looks again. */
void storage_release_done(struct storage *s);

/* mounting.c: the transitions. */
int storage_begin(struct storage *s, struct error *err);
/* The last reference is gone: cancel, unmount or keep it. `everything`: the sandbox ends. */
void storage_unreferenced(struct storage *s, bool everything, struct release *release);
