/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol between init (or `tatami supervise`) and the agent on one SOCK_SEQPACKET pair. init
 * is the parent (CLONE_PARENT) and only reaper of every process that the agent starts. It drains
 * this socket before each reap, so a registration that was sent before a process exits is known
 * when the process is reaped. For this reason a new process waits at its gate until
 * initlink_watch() has returned. init reads no other input, and none of a peer of the agent.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* The environment variable with the number of the agent's fd. */
#define INITPROTO_ENV "TATAMI_INIT_FD"

enum initproto_type {
	/* Sent by the agent. */
	/* Keep the status of `pid` until INITPROTO_TAKEN. */
	INITPROTO_REGISTER = 1,
	/* The status of `pid` has been received and can be dropped. */
	INITPROTO_TAKEN = 2,
	/* Sync and power off, or exit with code `value` (supervise). */
	INITPROTO_POWEROFF = 3,
	/* Sent by init. */
	/* Process `pid` has ended; `value` is its status as of waitpid(2). */
	INITPROTO_EXIT = 16,
	/* Process `pid` was registered but is not a child, or no longer: no status. */
	INITPROTO_GONE = 17,
	/* first message: monotonic ns at which PID 1's main was entered, and at which the agent was
	 * forked; flags say whether we are PID 1 */
	INITPROTO_BOOT = 18,
};

enum initproto_flags {
	/* Our init is PID 1 (GetGuestDetails.init_daemon). */
	INITPROTO_IS_PID1 = 1 << 0,
};

/* A message in either direction. */
struct initproto_msg {
	/* enum initproto_type. */
	uint32_t type;
	/* In the pid namespace of init and agent. */
	int32_t pid;
	/* Depends on the type. */
	int32_t value;
	/* Depends on the type. */
	uint32_t flags;
	/* INITPROTO_BOOT only. */
	uint64_t ns[2];
};
