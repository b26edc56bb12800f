/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storages: mounts of the sandbox and of containers, reference-counted by mount point. Each is a
 * state machine in the loop (mounting, mounted, unmounting, with waiters); mounting and unmounting
 * are jobs of their own, so two containers that share a volume never race. Loop side: never blocks.
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
struct storage_request;

struct storages *storages_new(struct loop *loop, struct jobs *jobs, struct device_watch *devices,
			      const struct roots *roots, struct error *err);
void storages_free(struct storages *s);

/* Takes one reference on each of `specs` in list order, mounting what is not mounted yet, for
 * `owner` (container id, or "" for the sandbox). All or nothing: on failure everything this
 * request took is released, and what was mounted for it is unmounted, before done(err). done is
 * never called from inside. */
typedef void storages_done_fn(const struct error *err, void *data);
struct storage_request *storages_acquire(struct storages *s, const char *owner,
					 const struct storage_spec *specs, size_t n,
					 storages_done_fn *done, void *data, struct error *err);

/* Ends a request whose `done` was not called, and now never is: releases what it took. gone (may
 * be NULL) is called once what was mounted for it is unmounted, never from inside. NULL is
 * allowed for r. */
void storages_abort(struct storage_request *r, storages_done_fn *gone, void *data);

/* The owner has come about: what he has of the pod's (`shared`, or of a driver that keeps its
 * storages for the sandbox's life) stays from now on when he goes. What only those had who
 * failed is unmounted with them. */
void storages_commit(struct storages *s, const char *owner);

/* Gives back every reference of `owner`; unmounts at zero (unless it is the pod's and settled),
 * in reverse order. A request of the owner that is not done fails. "": the sandbox ends, and
 * with it everybody's references and all storages. done once all are released or given up (err
 * tells the first failure; nothing else depends on it): an unmount after 5 s, a mount that is
 * cancelled after 10 s. Never from inside. */
int storages_release_owner(struct storages *s, const char *owner, storages_done_fn *done,
			   void *data, struct error *err);

/* The name of the i-th driver, NULL past the last: for GetGuestDetails. */
const char *storage_driver_name(size_t i);

/* Is there a storage of that mount point, in any state? */
bool storages_has(const struct storages *s, const char *mount_point);

/* The id (sys_mount_id()) of the mount of the storage at that mount point, 0 if there is none. */
int32_t storages_mount_id(const struct storages *s, const char *mount_point);

/* Mounted or mounting storages now. */
size_t storages_count(const struct storages *s);
