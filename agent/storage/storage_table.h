/* SPDX-License-Identifier: Apache-2.0 */
/* The table of storages, shared by the files that change it: storage.c takes and drops references,
 * mounting.c makes the transitions. Loop side: never blocks. */
#pragma once

#include <stdbool.h>

#include "agent/device/device.h"
#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "agent/storage/follow.h"
#include "agent/storage/mount_point.h"
#include "agent/storage/unmount.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/log.h"
#include "lib/loop.h"

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
	struct followers *followers;
	struct storage_pull pull;
	size_t count;
};

/* An owner's reference, one for each request that took one. */
struct ref {
	struct list node;
	char owner[];
};

struct storage {
	struct list node;
	struct storages *table;
	enum storage_state state;
	struct storage_spec *spec;
	/* The first one to reference it: struct storage_mount. */
	char *owner;
	const struct storage_driver *driver;
	struct list refs;
	/* "" if it has no device */
	char node_path[DEVICE_NODE_MAX];
	/* The mount point without symbolic links, once known. */
	char *real;
	/* argument of the mount job */
	struct storage_mount mount;
	/* This many trailing components of it were created for mounts. */
	uint32_t made;
	/* The created directories; 0, 0: unknown. */
	struct storage_file files[STORAGE_MADE_MAX];
	/* Set once it is mounted. */
	struct storage_place place;
	/* The mount's id, 0 if it is only a directory. */
	int32_t id;
	/* Containers see a copy of a source with this device number. */
	bool is_copy;
	uint64_t source_dev;
	struct follow *follow;
	/* argument of the unmount job */
	struct unmount unmount;
	struct pending *finding;
	struct job *job;
	/* UNMOUNTING: no worker could be started, the timer tries again. */
	struct timer *retry;
	unsigned int tries;
	/* Unmounts of it that failed. */
	unsigned int failures;
	/* MOUNTING: cancelled, the undo is running. */
	bool unwanted;
	/* A committed owner has it: a volume of the pod is kept without references. */
	bool is_settled;
	/* The release that waits for its end, or NULL. */
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
	/* NULL: cancelled by a caller that waits for nothing. */
	void (*done)(const struct error *err, void *data);
	void *data;
	/* Its storages are being released; done follows. */
	bool is_ending;
	/* Nothing is left to wait for: done follows in the next round. */
	bool is_gone;
	/* Continues the request. */
	struct post look;
	struct error err;
	/* The context of the call that made the request. */
	struct log_context *log;
};

/* A storages_release_owner() that waits for unmounts. */
struct release {
	struct list node;
	struct storages *table;
	void (*done)(const struct error *err, void *data);
	void *data;
	/* Waits for every storage that is ending. */
	bool everything;
	/* Number of storages whose `release` this is. */
	size_t left;
	struct error first;
	/* Checks whether the release is complete. */
	struct post look;
	struct log_context *log;
};

/* Returns the storage at mount_point in any state, or NULL. */
struct storage *storage_find(const struct storages *t, const char *mount_point);

/* Frees s and notifies the releases that wait for its end. */
void storage_free(struct storage *s);

/* Continues every request that waits for s in the loop's next round; fails them if err is not
 * NULL. */
void storage_wake_waiters(struct storages *t, const struct storage *s, const struct error *err);

/* Detaches s from its release: it has ended, or is kept after all. */
void storage_release_done(struct storage *s);
