/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of agent/sandbox only. */
#pragma once

#include <stdint.h>

#include "agent/cdi/cdi.h"
#include "agent/cgroup/device_numbers.h"
#include "agent/cgroup/devices.h"
#include "agent/container/container.h"
#include "agent/container/launch/params.h"
#include "agent/container/seccomp/cache.h"
#include "agent/job/job.h"
#include "agent/sandbox/oom.h"
#include "agent/sandbox/pressure.h"
#include "agent/sandbox/queue.h"
#include "agent/sandbox/sandbox.h"
#include "agent/sandbox/setup_work.h"
#include "lib/arena.h"

/* From starting the worker to the gate; hosts ask for less. */
#define LAUNCH_MS 120000
/* For the running operation, before a removal aborts it. */
#define GRACE_MS 5000
/* For unmounting what a container has left. */
#define TEARDOWN_MS 10000
/* The same, after killing and waiting, which takes 40 s at most; hosts wait for 60 s. */
#define REMOVE_MS 50000
/* Between an empty cgroup and the last exit status from init. */
#define EXITS_MS 1000
/* For all containers together. */
#define DESTROY_MS 15000
/* For the sandbox's storages, and again for cleaning up its files. */
#define DESTROY_RELEASE_MS 5000

/* In a worker: the unpacked size of a message. */
#define SPEC_ARENA_MAX ((size_t)16 << 20)

/* The queue key of the sandbox's own operations; no container has this id. */
#define SANDBOX_KEY ""

enum sandbox_state {
	SANDBOX_NONE,
	SANDBOX_CREATING,
	SANDBOX_CREATED,
	/* Or being destroyed. */
	SANDBOX_DESTROYED,
};

struct sandbox {
	struct sandbox_parts parts;
	enum sandbox_state state;
	char *id;
	/* The missing security modules that a warning was logged for, once each. */
	struct lsm_missing warned;
	/* Hooks of the guest's image, for every container; NULL: none. */
	Grpc__Hooks *guest_hooks;
	struct list containers;
	/* Compiled seccomp profiles of the containers. */
	struct list profiles;
	/* The most recent profile and device program; the next container probably has the same. */
	struct cached_filter *recent_profile;
	struct device_program device_program;
	struct op_queues queues;
	struct oom_events oom;
	struct pressure pressure;
	/* ipc and uts, and the pid namespace of pidns_owner; others are -1. */
	int ns[NS_KINDS];
	/* The container whose init keeps the shared pid namespace alive. */
	const struct container *pidns_owner;
	struct setup_names names;
	/* Those of removed containers. */
	struct hung_cgroups hung;
	/* While DestroySandbox runs. */
	struct destroy_op *destroy;
};

/* The maximum number of fds that a job keeps. */
#define KEEP_FDS_MAX 32

struct keep_fds {
	int fd[KEEP_FDS_MAX];
	size_t n;
};

/* Adds an fd; -1 is ignored. */
void keep_fd(struct keep_fds *keep, int fd);

/* Adds the fds of all roots. */
void keep_roots(struct keep_fds *keep, const struct roots *roots);

/* Checks for labels of security modules that the kernel lacks: refused if strict_lsm is set,
 * otherwise one warning per module and agent. mount_label may be NULL. Returns 0, or -1 and err. */
int sandbox_check_labels(struct sandbox *s, const Grpc__Process *process, const char *mount_label,
			 struct error *err);

/* Returns the container of this id in any state, or NULL. */
struct container *sandbox_find(const struct sandbox *s, const char *id);

/* Sets INVALID_ARGUMENT `container <id> not found`. Returns -1. */
int error_no_container(struct error *err, const char *id);

/* Of one container. */
#define CREATE_DEVICES_MAX 256

/* Additions to the spec in a CreateContainer request: devices, and mounts of other containers. */
struct create_devices {
	struct device_set *found;
	struct launch_device *devices;
	struct launch_shared *shared;
	size_t n_devices, n_shared;
	/* > 0: pidfd of the pid namespace's first process. */
	int pidns_owner;
};

/* Checks types, paths and numbers of a request. Returns 0, or -1 and err. */
int create_devices_check(const struct sandbox_container_request *request, struct error *err);

/* Starts to look for the devices of a request that has at least one. done(err, data) follows, never
 * from inside. Returns 0, or -1 and err. */
int create_devices_find(struct sandbox *s, struct create_devices *e,
			const struct sandbox_container_request *request,
			void (*done)(const struct error *err, void *data), void *data,
			struct error *err);

/* Keeps the PCI functions of the devices that were found, for the container and its execs. Returns
 * 0, or -1 and err. */
int create_devices_keep_functions(const struct create_devices *e,
				  const struct sandbox_container_request *request,
				  struct container *c, struct error *err);

/* Fills in the devices and shared mounts of `launch` and adds their fds to `keep`. Returns 0, or -1
 * and err. */
int create_devices_fill(struct sandbox *s, struct create_devices *e,
			const struct sandbox_container_request *request, struct launch *launch,
			struct keep_fds *keep, struct error *err);

void create_devices_release(struct create_devices *e);

/* The devices of a CreateContainer request that the guest's CDI specs describe. All zero: none. */
struct create_cdi {
	/* Holds all that follows. */
	struct arena arena;
	struct cdi_names names;
	struct pending *wait;
	/* The devices that were added, which the host's rules do not cover. */
	struct device_number *numbers;
	size_t n_numbers;
};

/* Finds the names of the devices in a spec, which outlives them. Returns 0, or -1 and err. */
int create_cdi_prepare(const struct sandbox *s, struct create_cdi *c, const Grpc__Spec *spec,
		       struct error *err);

/* Starts to look for the devices, of which there is at least one. `found` follows, never from
 * inside, and clears c->wait. Returns 0, or -1 and err. */
int create_cdi_find(const struct sandbox *s, struct create_cdi *c, const Grpc__Spec *spec,
		    cdi_found_fn *found, void *data, struct error *err);

/* Returns the spec with what was found, valid by spec_validate() and until the release; or NULL and
 * err. */
const Grpc__Spec *create_cdi_merge(struct create_cdi *c, const Grpc__Spec *spec,
				   const uint8_t *packed, size_t size, struct error *err);

void create_cdi_release(struct create_cdi *c);

/* Removes the container from the sandbox and frees it. */
void sandbox_drop(struct sandbox *s, struct container *c);

/* Has a worker close the last fd of a container's mount namespace. *fd may be -1, and is -1
 * afterwards. */
void mntns_release(struct sandbox *s, int *fd);

/* Sends SIGTERM to a container's first process, or SIGKILL if the kernel would drop it, perhaps
 * some milliseconds later (see terminate.c). Returns 0, or -1 and err. */
int sandbox_terminate(const struct sandbox *s, struct process *p, struct error *err);
