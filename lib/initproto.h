/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What init (or `tatami supervise`) and the agent tell each other over one SOCK_SEQPACKET pair. init is
 * the parent of every process that the agent starts (CLONE_PARENT) and their only reaper. It drains this
 * socket before each reap, so a registration that was sent before a process could exit is always known
 * when it does: the agent therefore keeps a new process waiting until initlink_watch() has returned.
 * init parses nothing else, and nothing that a peer of the agent sent.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* The agent's end of the pair is this fd, told by the environment variable TATAMI_INIT_FD. */
#define INITPROTO_ENV "TATAMI_INIT_FD"

enum initproto_type {
	/* agent -> init */
	INITPROTO_REGISTER = 1, /* pid: keep its status until TAKEN */
	INITPROTO_TAKEN = 2,    /* pid: the status was taken; forget it */
	INITPROTO_POWEROFF = 3, /* sync and power off (supervise: exit 0); value: exit code */
	/* init -> agent */
	INITPROTO_EXIT = 16, /* pid ended; value is the wait status as of waitpid(2) */
	INITPROTO_GONE = 17, /* pid was registered, but is no child (any more): no status */
	INITPROTO_BOOT =
		18, /* first message: monotonic ns at which PID 1's main was entered, and at which
			      * the agent was forked; flags say whether we are PID 1 */
};

enum initproto_flags {
	INITPROTO_IS_PID1 = 1 << 0, /* our init is PID 1 (GetGuestDetails.init_daemon) */
};

/* Fixed size, no pointers: one message each way. */
struct initproto_msg {
	uint32_t type;  /* enum initproto_type */
	int32_t pid;    /* in the pid namespace of init and agent */
	int32_t value;  /* see the types */
	uint32_t flags; /* see the types */
	uint64_t ns[2]; /* BOOT only */
};
