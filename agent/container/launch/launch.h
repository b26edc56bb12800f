/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker side of a container: make its cgroup, namespaces, root file system and first process, or start one
 * more process in it; take it down. Called from jobs of agent/sandbox. Everything here may block and runs
 * in a worker only. The agent side (states, stdio, waiting) is container.h and process.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/container/launch/lsm.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "oci.pb-c.h"

struct device_program;
struct filter;
struct worker;

/* The namespaces a container is in, by index. */
enum ns_kind {
	NS_USER,
	NS_MNT,
	NS_PID,
	NS_NET,
	NS_IPC,
	NS_UTS,
	NS_CGROUP,
	NS_TIME,
	NS_KINDS,
};

/* Messages of launch and exec jobs, beside worker_process(). */
enum launch_msg {
	/* Payload: uint8_t kinds[n]. Fds: a namespace each, for later execs. */
	LAUNCH_MSG_NAMESPACES = 1,
	/* Fd: the pty master. */
	LAUNCH_MSG_TTY,
	/* Payload: struct filter, compiled from the spec's seccomp profile. */
	LAUNCH_MSG_FILTER,
	/* Payload: struct launch_cgroup. Fd: its memory.events, if there is one. */
	LAUNCH_MSG_CGROUP,
	/* Payload: instructions of a device program. Fd: the program. */
	LAUNCH_MSG_DEVICES,
	/* Fd: the reading end for a struct exec_report. */
	LAUNCH_MSG_REPORT,
};

/* What the agent keeps of a container's cgroup. */
struct launch_cgroup {
	uint64_t oom_kills;      /* in it, before anything was started */
	uint32_t device_program; /* id of the attached rules, 0: none */
	uint32_t unused;         /* no padding is sent */
};

/* A device of the spec, by its path in the container, and what it is in the guest: "/dev/<name>". */
struct launch_device {
	const char *container_path, *node;
};

/* A mount of another container that is to be in this one, too. */
struct launch_shared {
	const char *src_name, *src_path, *dst_path;
	int mnt_ns; /* of the other; -1: there is none */
};

/* Input of container_launch(), made before the fork. All strings and the spec outlive the job. */
struct launch {
	const char *id;
	const char *sandbox_id;
	const Grpc__Spec *spec;      /* validated by spec_validate() */
	const struct filter *filter; /* of its seccomp profile; NULL: to be compiled, and sent */
	const struct device_program *device_program; /* what may be the same; NULL: nothing */
	const struct roots *roots;
	const char *cgroup_path; /* "pods/...", relative to the cgroup root; confined */
	const char *keyring;     /* the name of its session keyring, see keyring.h */
	const char *bundle;      /* RUN_DIR/<id> */
	struct lsm lsm;          /* what the kernel has */
	bool any_disk;           /* a device rule for everything covers disks, too */
	const struct launch_device *devices;
	size_t n_devices;
	const struct launch_shared *shared;
	size_t n_shared;
	/* pidfd of the first process of the shared pid namespace; -1: none */
	int pidns_owner;
	int stdio[3]; /* the process's ends; -1 with a terminal */
	int sandbox_ns
		[NS_KINDS]; /* shared namespaces to join (ipc, uts, pid if sandbox_pidns), else -1 */
	/* init waits for one byte here before execve; end of file: exit. A SOCK_SEQPACKET (handshake.h) if hooks_times() has
	 * a start_ms, else a pipe may do. */
	int start_gate;
};

/* The roots, stdio fds, gate and namespaces must be in the job's keep_fds, none below 3. Order of what happens: cgroup,
 * bundle directory, everything of the guest opened as detached clones, clone (CLONE_PARENT, CLONE_INTO_CGROUP), id
 * maps; worker_process() while the child sets itself up; terminal sent, child ready, namespaces sent, child released
 * to the gate: then 0. What is left by it is journalled before. Nothing is mounted in the guest. The worker has
 * joined namespaces afterwards: this is its last work. Worker only: may block. */
int container_launch(struct worker *w, const struct launch *l, struct error *err);

/* One more process in a running container. */
struct launch_exec {
	const char *container_id;
	const Grpc__Spec *spec;       /* what is kept of the container's: see spec/retain.h */
	const struct filter *filter;  /* the container's; NULL: none */
	const Grpc__Process *process; /* the exec's own */
	const struct roots *roots;
	struct lsm lsm;
	int init_pidfd; /* to find init's present cgroup and check that it is alive */
	int32_t init_pid;
	const char *cgroup_path;
	const char *keyring; /* the container's */
	int ns[NS_KINDS];    /* kept fds, -1 = the agent's own */
	int stdio[3];
};

/* Returns once the process is released to execve (a missing binary is an error here). Worker only: may block. */
int container_exec(struct worker *w, const struct launch_exec *e, struct error *err);

/* Takes a container down: kill everything in its cgroup, wait until it is empty, remove the cgroup, detach the
 * mounts in the bundle, remove the bundle directory. Missing things are success. Worker only: may block. */
struct teardown {
	const char *id;
	const struct roots *roots;
	const char *cgroup_path;
	const char *bundle;
	const Grpc__Spec *spec; /* for hooks; may be NULL */
};
int container_teardown(struct worker *w, const struct teardown *t, struct error *err);

/* Start of a container that has startContainer or poststart hooks: opens the gate, waits until the program runs, runs
 * the hooks around that. If it fails the container is to be killed. Worker only: may block. */
struct launch_start {
	const char *id, *bundle;
	const Grpc__Spec *spec; /* version, annotations, hooks */
	const struct roots *roots;
	pid_t pid; /* init's, in the guest's pid namespace */
	int gate;  /* our end */
};
int container_start_with_hooks(struct worker *w, const struct launch_start *s, struct error *err);

/* The last hooks; nothing of the container runs any more. For container_teardown(). */
int container_poststop(struct worker *w, const struct teardown *t, struct error *err);

/* Checks a spec once, on the loop, without touching any file system: required fields, absolute paths, known
 * namespace/rlimit/capability/seccomp names, mappings, sizes. INVALID_ARGUMENT with the field's name. Never blocks. */
int spec_validate(const Grpc__Spec *spec, struct error *err);

/* FAILED_PRECONDITION for what only a confidential guest could give: an environment variable that is a sealed secret,
 * /dev/trusted_store. The rest of the spec was found valid. Never blocks. */
int sealed_validate(const Grpc__Spec *spec, struct error *err);

/* The same for an exec's process. */
int process_validate(const Grpc__Process *process, struct error *err);

/* cgroupsPath of a spec -> relative path below the cgroup root ("pods/..."), `:` -> `/`, empty -> the id; refuses `..`
 * and over-long names. 0 or -1. Never blocks. */
int cgroup_path_from_spec(const char *cgroups_path, const char *id, char *out, size_t size,
			  struct error *err);

/* Makes the sandbox's persistent ipc and uts namespaces (hostname set in uts): two fds. Worker only. */
int sandbox_namespaces_make(struct worker *w, const char *hostname, int *ipc_fd, int *uts_fd,
			    struct error *err);
