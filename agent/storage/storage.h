/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storages: mounts of the sandbox and of containers, reference-counted by mount point. Each is a
 * state machine in the loop (mounting, mounted, unmounting, with waiters). Each mount and unmount
 * is a job of its own, and two containers that share a volume never race. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/roots.h"
#include "agent/storage/spec.h"
#include "lib/error.h"
#include "lib/loop.h"

struct jobs;
/* agent/device: uevents */
struct device_watch;
struct storages;
/* driver.h */
struct storage_pull;
struct storage_request;

struct storages *storages_new(struct loop *loop, struct jobs *jobs, struct device_watch *devices,
			      const struct roots *roots, struct error *err);
void storages_free(struct storages *s);

/* Changes the settings of images that the guest pulls. The strings stay the caller's, and must
 * outlive the storages. The default is a time limit of 1200 s, without proxies. */
void storages_set_pull(struct storages *s, const struct storage_pull *pull);

/* Takes one reference on each of `specs` in list order for `owner` (a container id, or "" for the
 * sandbox), mounting what is not mounted yet. All or nothing: on failure everything that this
 * request took is released, and whatever was mounted for it is unmounted, before done(err). Never
 * calls done from inside. */
typedef void storages_done_fn(const struct error *err, void *data);
struct storage_request *storages_acquire(struct storages *s, const char *owner,
					 const struct storage_spec *specs, size_t n,
					 storages_done_fn *done, void *data, struct error *err);

/* Ends a request whose `done` was not called and never will be: releases everything it took. Calls
 * gone (may be NULL) once, after the mounts made for it are unmounted, never from inside. r may be
 * NULL. */
void storages_abort(struct storage_request *r, storages_done_fn *gone, void *data);

/* Commits `owner`: sandbox-lifetime storages that it references (`shared`, or of a driver with
 * pod_lifetime) now outlive it. A storage that only uncommitted owners reference is unmounted when
 * they are released. */
void storages_commit(struct storages *s, const char *owner);

/* Drops every reference of `owner` and unmounts storages without references, in reverse order,
 * except committed ones with sandbox lifetime. An unfinished request of the owner fails. "": the
 * sandbox ends; the references of all owners are dropped and all storages are unmounted. Calls done
 * once all are released or timed out, never from inside; err is the first failure, for information
 * only. An unmount times out after 5 s, a cancelled mount after 10 s. Returns 0; or -1 and err if
 * out of memory: then the storages are released, too, but done is not called. */
int storages_release_owner(struct storages *s, const char *owner, storages_done_fn *done,
			   void *data, struct error *err);

/* Returns the name of the i-th driver, NULL past the last: for GetGuestDetails. */
const char *storage_driver_name(size_t i);

/* Returns whether there is a storage at mount_point, in any state. */
bool storages_has(const struct storages *s, const char *mount_point);

/* Returns the mount id (sys_mount_id()) of the storage at mount_point, 0 if there is none. */
int32_t storages_mount_id(const struct storages *s, const char *mount_point);

/* Returns the number of storages that are mounted or being mounted. */
size_t storages_count(const struct storages *s);
