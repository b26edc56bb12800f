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
	/* "" if it has no device */
	char node_path[DEVICE_NODE_MAX];
	/* mount point without symlinks, once known */
	char *real;
	/* argument of the mount job */
	struct storage_mount mount;
	/* components of it that mounts made, from the end */
	uint32_t made;
	/* which those are; 0, 0: unknown */
	struct storage_file files[STORAGE_MADE_MAX];
	/* once it is mounted */
	struct storage_place place;
	/* of the mount, 0: it is only a directory */
	int32_t id;
	/* argument of the unmount job */
	struct unmount unmount;
	struct pending *finding;
	struct job *job;
	/* MOUNTING: cancelled, the undo is running */
	bool unwanted;
	/* an owner that came about has it: a pod's volume stays when he goes */
	bool is_settled;
	/* waits for its end; NULL: none */
	struct release *release;
};

struct storage_request {
	struct list node;
	struct storages *table;
	char *owner;
	struct storage_spec **specs;
	/* specs[0..at) are taken */
	size_t n, at;
	struct storage *waiting;
	/* NULL: cancelled by a caller who waits for nothing */
	storages_done_fn *done;
	void *data;
	/* what it took is being given back; done follows */
	bool is_ending;
	/* nothing is waited for any more: done follows in the next round */
	bool is_gone;
	/* at its storages again */
	struct post look;
	struct error err;
	/* of the call that asks for them */
	struct log_context *log;
};

/* storages_release_owner() that waits for unmounts. */
struct release {
	struct list node;
	struct storages *table;
	storages_done_fn *done;
	void *data;
	/* waits for whatever is ending, whoever ended it */
	bool everything;
	/* storages whose `release` this is */
	size_t left;
	struct error first;
	/* whether it is over */
	struct post look;
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
