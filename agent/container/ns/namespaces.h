/* SPDX-License-Identifier: Apache-2.0 */
/* Which namespaces a container gets: new ones, the sandbox's, or ones named by path. Worker side. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/container/launch/params.h"

#define NS_MAP_RANGES 340 /* of the kernel */

struct ns_plan {
	uint64_t clone_flags; /* CLONE_NEW* of the first process's clone3() */
	int join[NS_KINDS];   /* entered by the worker before the clone; -1: none */
	int opened[NS_KINDS]; /* those opened from a path, to be closed */
	int cgroup_ns; /* entered by the child; -1: a new one, made once it is in its cgroup */
	int mnt_ns; /* entered by the child, and taken over: its root is changed there; -1: a new one */
	int user_ns; /* the child is cloned in it; -1: none, or a new one */
	int pid_ns;  /* entered with user_ns; -1: none, or the worker enters it */
	/* The pid namespace is left to the last fork: the process enters or makes its user namespace, and those that are new,
	 * itself, once its children are to be born in the pid namespace: only the guest's user namespace may decide that. */
	bool late;
	bool user;       /* in a user namespace of its own or by path */
	bool uts;        /* the spec names one: its host name goes there */
	bool net;        /* a new network namespace, with nothing up */
	bool time;       /* a new time namespace, for the worker's children */
	uint32_t pinned; /* bit per ns_kind: differs from the agent's, is sent for later execs */
};

/* Parses the type of a namespace, as the runtime specification spells it ("mount", "network") or as the Rust clients do
 * ("mnt", "net"). Returns false for an unknown type. */
bool ns_kind_parse(const char *type, enum ns_kind *out);

/* Returns the runtime specification's name of a kind. */
const char *ns_kind_name(enum ns_kind kind);

/* The first namespace entry of a kind, or NULL. */
const Grpc__LinuxNamespace *ns_find(const Grpc__Linux *linux, enum ns_kind kind);

/* 0 or -1. Release the plan in both cases. */
int ns_plan_make(const struct launch *l, struct ns_plan *plan, struct error *err);
void ns_plan_release(struct ns_plan *plan);

/* Returns whether the namespace belongs to that user namespace. */
bool ns_is_owned_by(int ns, int user_ns);

/* Does the user namespace of the container own its network namespace? Both are new, or were made together by somebody
 * else. */
bool ns_plan_owns_net(const struct ns_plan *plan);

/* Takes the pid namespace out of the plan, for a last fork. Returns its fd, or -1 if the container makes one. */
int ns_plan_leave_pid(struct ns_plan *plan);

/* In the process, if the plan is late: see there. */
int ns_plan_enter_user(const struct ns_plan *plan, int pid_ns, struct error *err);

/* Enters what the plan says. Changes the calling worker for good. */
int ns_plan_join(const struct ns_plan *plan, struct error *err);

/* Enters what the process itself must, and sets up what is new: host name, loopback. By the first process. */
int ns_plan_enter(const struct ns_plan *plan, const char *hostname, struct error *err);

/* setns(2) to fds[kind] (-1: none), the user namespace last. For a child of container_exec(). */
int ns_join_all(const int fds[NS_KINDS], struct error *err);

/* Opens the namespaces of process `pid` (a bit per kind) through the procfs root proc_fd: kinds[] and fds[] of
 * NS_KINDS entries; returns how many, or -1. The caller owns the fds. */
int ns_open_of(int proc_fd, int pid, uint32_t which, uint8_t *kinds, int *fds, struct error *err);

/* Writes uid_map and gid_map of process `pid`, whose user namespace is new. */
int ns_write_id_maps(int proc_fd, int pid, const Grpc__Linux *linux, struct error *err);

/* The ids that a user namespace has, as the agent sees them (user_namespaces(7)). */
struct ns_map {
	struct {
		uint32_t inside, outside, size;
	} range[NS_MAP_RANGES];
	unsigned int n;
};
struct ns_maps {
	struct ns_map uid, gid;
};

/* Reads those of the process `pid`. */
int ns_read_id_maps(int proc_fd, int pid, struct ns_maps *out, struct error *err);

/* The id outside; false if it is not mapped. */
bool ns_map_find(const struct ns_map *map, uint32_t inside, uint32_t *out);

/* The id outside that a map gives an id inside; the id itself if there is no map; false: not mapped. */
bool ns_id_outside(Grpc__LinuxIDMapping *const *map, size_t n, uint32_t inside, uint32_t *out);
