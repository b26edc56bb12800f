/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two sides of a container's launch, exec, start and end hand each other: the arguments that the agent fills in before the
 * fork, and the messages of the workers. Plain data, for both sides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/container/launch/lsm.h"
#include "agent/container/ns/ns_kind.h"
#include "agent/roots.h"
#include "oci.pb-c.h"

struct device_program;
struct filter;

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

/* Input of container_teardown(). */
struct teardown {
	const char *id;
	const struct roots *roots;
	const char *cgroup_path;
	const char *bundle;
	const Grpc__Spec *spec; /* for hooks; may be NULL */
};

/* Input of container_start_with_hooks(). */
struct launch_start {
	const char *id, *bundle;
	const Grpc__Spec *spec; /* version, annotations, hooks */
	const struct roots *roots;
	pid_t pid; /* init's, in the guest's pid namespace */
	int gate;  /* our end */
};
