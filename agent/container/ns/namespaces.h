/* SPDX-License-Identifier: Apache-2.0 */
/* The namespaces of a container: new ones, the sandbox's, or ones given by path. Worker side. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/container/launch/params.h"

/* The kernel's limit on the lines of a map. */
#define NS_MAP_RANGES 340

struct ns_plan {
	/* CLONE_NEW* flags of the first process's clone3(). */
	uint64_t clone_flags;
	/* Joined by the worker before the clone; -1: none. */
	int join[NS_KINDS];
	/* Opened by path and owned by the plan; -1: none. */
	int opened[NS_KINDS];
	/* Joined by the child; -1: the child makes a new one after it has entered its cgroup. */
	int cgroup_ns;
	/* Joined by the child, which changes the root in it; -1: a new one. */
	int mnt_ns;
	/* The child is cloned in it; -1: none, or a new one. */
	int user_ns;
	/* Joined together with user_ns; -1: none, or the worker joins it. */
	int pid_ns;
	/* The last fork enters the pid namespace. The process then joins or makes its user
	 * namespace and the new namespaces itself, after it has selected the pid namespace of
	 * its children, which requires capabilities in the guest's user namespace. */
	bool late;
	/* The container has a user namespace, new or by path. */
	bool user;
	/* The spec lists a uts namespace: the host name is set in it. */
	bool uts;
	/* The network namespace is new, with all interfaces down. */
	bool net;
	/* A new time namespace for the worker's children. */
	bool time;
	/* A bit for each ns_kind that differs from the agent's and is sent to the agent for
	 * later execs. */
	uint32_t pinned;
	/* A bit for each ns_kind that is the sandbox's, which the agent already has. */
	uint32_t of_sandbox;
};

/* Parses the type of a namespace, as the runtime specification spells it ("mount", "network") or
 * as the Rust clients do ("mnt", "net"). Returns false for an unknown type. */
bool ns_kind_parse(const char *type, enum ns_kind *out);

/* Returns the runtime specification's name of a kind. */
const char *ns_kind_name(enum ns_kind kind);

/* Returns the first namespace entry of a kind, or NULL. Pure. */
const Grpc__LinuxNamespace *ns_find(const Grpc__Linux *linux, enum ns_kind kind);

/* Plans the namespaces and opens those given by path. Returns 0, or -1 and err; the caller calls
 * ns_plan_release() in both cases. May block. */
int ns_plan_make(const struct launch *l, struct ns_plan *plan, struct error *err);
void ns_plan_release(struct ns_plan *plan);

/* Returns whether the user namespace owns the namespace `ns`. */
bool ns_is_owned_by(int ns, int user_ns);

/* Returns whether the container's user namespace owns its network namespace: both are new, or
 * both exist and were made together. */
bool ns_plan_owns_net(const struct ns_plan *plan);

/* Removes the pid namespace from the plan, for a last fork. Returns its fd, which the caller
 * must not close, or -1 if the container makes a new one. */
int ns_plan_leave_pid(struct ns_plan *plan);

/* Joins the pid and user namespaces and makes the new ones, if the plan is late. Called by the
 * process. Returns 0, or -1 and err. */
int ns_plan_enter_user(const struct ns_plan *plan, int pid_ns, struct error *err);

/* Joins the worker's part of the plan. The worker's own namespaces change. Returns 0, or -1 and
 * err. */
int ns_plan_join(const struct ns_plan *plan, struct error *err);

/* Joins or makes the child's part of the plan, and sets host name and loopback interface up.
 * Called by the first process. Returns 0, or -1 and err. */
int ns_plan_enter(const struct ns_plan *plan, const char *hostname, struct error *err);

/* Joins the namespaces fds[kind] (-1: none), the user namespace last. Called by a child of
 * container_exec(). Returns 0, or -1 and err. */
int ns_join_all(const int fds[NS_KINDS], struct error *err);

/* Opens the namespaces `which` (a bit for each kind) of process `pid` below the procfs root
 * proc_fd. Fills kinds[] and fds[], which have room for NS_KINDS entries. Returns their number,
 * or -1 and err. The caller owns the fds. */
int ns_open_of(int proc_fd, int pid, uint32_t which, uint8_t *kinds, int *fds, struct error *err);

/* Writes uid_map and gid_map of process `pid`, whose user namespace is new. Returns 0, or -1 and
 * err. */
int ns_write_id_maps(int proc_fd, int pid, const Grpc__Linux *linux, struct error *err);

/* An id map of a user namespace, as the agent sees it (user_namespaces(7)). */
struct ns_map {
	struct {
		uint32_t inside, outside, size;
	} range[NS_MAP_RANGES];
	unsigned int n;
};
struct ns_maps {
	struct ns_map uid, gid;
};

/* Reads the maps of process `pid`. Returns 0, or -1 and err. */
int ns_read_id_maps(int proc_fd, int pid, struct ns_maps *out, struct error *err);

/* Looks up the id outside for an id inside. Returns false if it is not mapped. Pure. */
bool ns_map_find(const struct ns_map *map, uint32_t inside, uint32_t *out);

/* Looks up the id outside in a spec's map; an empty map is the identity. Returns false if the id
 * is not mapped. Pure. */
bool ns_id_outside(Grpc__LinuxIDMapping *const *map, size_t n, uint32_t inside, uint32_t *out);
