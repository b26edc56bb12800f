/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of agent/sandbox share, and nobody else sees. */
#pragma once

#include <stdint.h>

#include "agent/cgroup/devices.h"
#include "agent/container/container.h"
#include "agent/container/seccomp/cache.h"
#include "agent/job/job.h"
#include "agent/sandbox/oom.h"
#include "agent/sandbox/pressure.h"
#include "agent/sandbox/queue.h"
#include "agent/sandbox/sandbox.h"
#include "agent/sandbox/setup_work.h"

#define LAUNCH_MS          120000 /* from worker to gate; hosts ask for less */
#define GRACE_MS           5000   /* what runs gets, before a remove abandons it */
#define TEARDOWN_MS        10000  /* kill, wait, remove the cgroup, unmount */
#define EXITS_MS           1000   /* between an empty cgroup and the last exit status from init */
#define DESTROY_MS         15000  /* for all containers together */
#define DESTROY_RELEASE_MS 5000   /* for the sandbox's storages, and for the clean-up after them */

#define SPEC_ARENA_MAX ((size_t)16 << 20) /* in a worker: what a frame may unpack to */

/* The key of the sandbox's own operations: no container is called so. */
#define SANDBOX_KEY ""

enum sandbox_state {
	SANDBOX_NONE,
	SANDBOX_CREATING,
	SANDBOX_CREATED,
	SANDBOX_DESTROYED, /* or on the way there */
};

struct sandbox {
	struct sandbox_parts parts;
	enum sandbox_state state;
	char *id;
	struct lsm_missing warned; /* of modules that the kernel lacks: once each */
	Grpc__Hooks *guest_hooks;  /* of the guest's image, for every container; NULL: none */
	struct list containers;
	struct list profiles; /* seccomp, of the containers */
	/* The ones that were last made: the next container has probably the same. */
	struct cached_filter *recent_profile;
	struct device_program device_program;
	struct op_queues queues;
	struct oom_events oom;
	struct pressure pressure;
	int ns[NS_KINDS];                    /* ipc, uts; pid of pidns_owner; others -1 */
	const struct container *pidns_owner; /* its init keeps the shared pid namespace alive */
	struct setup_names names;
	struct destroy_op *destroy; /* while it runs */
};

/* The fds that a job keeps: no list is longer than this. */
#define KEEP_FDS_MAX 32

struct keep_fds {
	int fd[KEEP_FDS_MAX];
	size_t n;
};

/* Adds an fd; -1 is left out. */
void keep_fd(struct keep_fds *keep, int fd);

/* Adds all of the roots. */
void keep_roots(struct keep_fds *keep, const struct roots *roots);

/* Labels that the kernel has no module for: refused, or one warning in the agent's life. mount_label may be NULL. */
int sandbox_check_labels(struct sandbox *s, const Grpc__Process *process, const char *mount_label,
			 struct error *err);

/* The container of this id in any state, or NULL. */
struct container *sandbox_find(const struct sandbox *s, const char *id);

/* INVALID_ARGUMENT `container <id> not found`. */
int error_no_container(struct error *err, const char *id);

/* What CreateContainer asks for beside the spec: devices to be found, other containers' mounts. */
struct create_devices {
	struct device_search *search;
	struct launch_device *devices;
	struct launch_shared *shared;
	size_t n_devices, n_shared;
	int pidns_owner; /* > 0: pidfd of the pid namespace's first process */
};

/* Types, paths, limits of a request: 0, or -1 and INVALID_ARGUMENT. */
int create_devices_check(const struct sandbox_container_request *request, struct error *err);

/* Looks for the devices of a request that has some: done(err, data), never from inside. 0, or -1 and err. */
int create_devices_find(struct sandbox *s, struct create_devices *e,
			const struct sandbox_container_request *request,
			void (*done)(const struct error *err, void *data), void *data,
			struct error *err);

/* Makes what the launch takes, and keeps its fds. 0, or -1 and err. */
int create_devices_fill(struct sandbox *s, struct create_devices *e,
			const struct sandbox_container_request *request, struct launch *launch,
			struct keep_fds *keep, struct error *err);

void create_devices_release(struct create_devices *e);

/* Takes the container out of the sandbox and frees it. */
void sandbox_drop(struct sandbox *s, struct container *c);

enum mntns_release_msg {
	/* The agent is to close its fd of the mount namespace. Waits. */
	MNTNS_RELEASE_MSG_CLOSE = 1,
};

/* In a worker that keeps a container's mount namespace: has the agent close its own fd, so that the worker's is the last.
 * The handler of MNTNS_RELEASE_MSG_CLOSE closes it. May block. */
int mntns_release_work(struct worker *w, struct error *err);

/* The same in a worker of its own. *fd may be -1, and is afterwards. */
void mntns_release(struct sandbox *s, int *fd);

/* Sends SIGTERM to a container's first process, or SIGKILL if the kernel would drop it, perhaps some milliseconds later:
 * see terminate.c. */
int sandbox_terminate(const struct sandbox *s, struct process *p, struct error *err);
