/* SPDX-License-Identifier: Apache-2.0 */
/* The data that agent and workers exchange for launch, exec, start and teardown of a container: the
 * arguments, which the agent fills in before the fork, and the messages of the workers. Plain data,
 * for both sides.
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

struct device_number;
struct device_program;
struct filter;
struct pci_pair;

/* The most devices of a container whose numbers are kept for later device rules. */
#define LAUNCH_NUMBERS_MAX 512

/* Messages of launch and exec jobs, in addition to worker_process(). */
enum launch_msg {
	/* Payload: uint8_t kinds[n]. Fds: one namespace for each of the first kinds, for later
	 * execs. The further kinds are the sandbox's. */
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
	/* Payload: struct device_number[n], of the devices that the host's rules do not cover. */
	LAUNCH_MSG_NUMBERS,
};

/* The state of a container's cgroup that the agent keeps. */
struct launch_cgroup {
	/* The number of OOM kills before the container starts. */
	uint64_t oom_kills;
	/* The id of the attached device program; 0: none. */
	uint32_t device_program;
	/* Explicit, so that no padding is sent. */
	uint32_t unused;
};

/* A device of the spec: its path in the container and its node in the guest, "/dev/<name>". */
struct launch_device {
	const char *container_path, *node;
	/* The container sees it at the node's path instead. */
	bool is_renamed;
};

/* A mount of another container to be shared with this one. */
struct launch_shared {
	const char *src_name, *src_path, *dst_path;
	/* The mount namespace of the other container; -1: there is no such container. */
	int mnt_ns;
};

/* Input of container_launch(), filled in before the fork. All strings and the spec outlive the
 * job. */
struct launch {
	const char *id;
	const char *sandbox_id;
	/* Valid by spec_validate(). */
	const Grpc__Spec *spec;
	/* The compiled seccomp profile; NULL: the worker compiles it and sends it to the agent. */
	const struct filter *filter;
	/* A program to reuse if the rules are the same; NULL: none. */
	const struct device_program *device_program;
	const struct roots *roots;
	/* "pods/…", relative to the cgroup root, without "..". */
	const char *cgroup_path;
	/* The name of the session keyring (keyring.h). */
	const char *keyring;
	/* RUN_DIR/<id>. */
	const char *bundle;
	/* The security modules of the kernel. */
	struct lsm lsm;
	/* A device rule for all devices includes disks. */
	bool any_disk;
	const struct launch_device *devices;
	size_t n_devices;
	/* The PCI functions that the host plugged in. */
	const struct pci_pair *functions;
	size_t n_functions;
	/* Devices of the spec that the host does not know, for their rules. */
	const struct device_number *numbers;
	size_t n_numbers;
	const struct launch_shared *shared;
	size_t n_shared;
	/* A pidfd of the first process of the shared pid namespace; -1: none. */
	int pidns_owner;
	/* The process's ends; -1 with a terminal. */
	int stdio[3];
	/* The shared namespaces to join (ipc, uts, and pid if sandbox_pidns); otherwise -1. */
	int sandbox_ns[NS_KINDS];
	/* The init process waits for one byte here before execve, and exits at end of file. A
	 * SOCK_SEQPACKET socket (handshake.h) if hooks_times() has a start_ms, otherwise a pipe
	 * is sufficient. */
	int start_gate;
	/* A new pid namespace is sent to the agent, for later containers. Execs find it through
	 * the init process. */
	bool sends_pid_ns;
};

/* Input of container_exec(). */
struct launch_exec {
	const char *container_id;
	/* The retained part of the container's spec (spec/retain.h). */
	const Grpc__Spec *spec;
	/* The container's; NULL: none. */
	const struct filter *filter;
	/* The process of the exec. */
	const Grpc__Process *process;
	/* The container's PCI functions. */
	const struct pci_pair *functions;
	size_t n_functions;
	const struct roots *roots;
	struct lsm lsm;
	/* Used to find the current cgroup of the init process and to check that it is alive. */
	int init_pidfd;
	int32_t init_pid;
	const char *cgroup_path;
	/* The container's. */
	const char *keyring;
	/* The pinned namespaces; -1: the agent's own, but NS_PID: that of the init process, which
	 * cannot leave it. */
	int ns[NS_KINDS];
	int stdio[3];
};

/* Cgroups of removed containers whose processes hang in the kernel (hung.h). */
#define HUNG_MAX 64
struct hung_cgroups {
	char *path[HUNG_MAX];
	size_t n;
};

/* Messages of container_teardown(): the payload is the path of a cgroup, with its NUL. */
enum teardown_msg {
	/* The container's own cgroup stays, since its processes hang. */
	TEARDOWN_MSG_HUNG = 1,
	/* That of a container that was removed earlier is gone. */
	TEARDOWN_MSG_GONE,
};

/* Input of container_teardown(). */
struct teardown {
	const char *id;
	const struct roots *roots;
	const char *cgroup_path;
	const char *bundle;
	/* May be NULL. */
	const struct hung_cgroups *hung;
	/* For hooks; may be NULL. */
	const Grpc__Spec *spec;
};

/* Input of container_start_with_hooks(). */
struct launch_start {
	const char *id, *bundle;
	/* Its version, annotations and hooks are used. */
	const Grpc__Spec *spec;
	const struct roots *roots;
	/* The init process, in the guest's pid namespace. */
	pid_t pid;
	/* The agent's end. */
	int gate;
};
