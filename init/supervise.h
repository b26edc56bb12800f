/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of init and of `tatami supervise`: starts the agent, reaps everything, and tells the
 * agent which of its processes ended (lib/initproto.h). Waits without any wake-up when nothing happens.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

enum supervise_cause {
	SUPERVISE_AGENT_ENDED,    /* on its own: `status` says how */
	SUPERVISE_POWEROFF_ASKED, /* by the agent: `exit_code` is what it wants */
	SUPERVISE_SIGNALLED,      /* PID 1 was told to end by signal `status` */
};

struct supervise_result {
	enum supervise_cause cause;
	int status;         /* wait status of the agent, or the signal */
	int exit_code;      /* SUPERVISE_POWEROFF_ASKED */
	uint64_t strangers; /* processes reaped that nobody had registered */
};

struct supervise_spec {
	bool is_pid1;     /* signals mean power-off; else they go to the agent */
	uint64_t main_ns; /* for INITPROTO_BOOT */
	/* The agent's program, in the new process: `fd` is its end of the socket (CLOEXEC). Returns only if it
	 * failed; the process then ends with what it returned. */
	int (*start)(int fd, void *data);
	void *data;
	/* Called in the parent once the agent's process runs: what need not delay it. May be NULL. */
	void (*started)(void *data);
	/* false: a program that does not know the protocol; start() is given -1. */
	bool has_protocol;
	int cgroup_fd; /* directory of the cgroup in which the agent is started; 0: none */
};

/* Runs the agent until it has ended, it asks for power-off, or a signal asks for it. Blocks until
 * then. On SUPERVISE_POWEROFF_ASKED and SUPERVISE_SIGNALLED the agent may still be running. Returns
 * -1 and err only if no agent could be started. */
int supervise_run(const struct supervise_spec *spec, struct supervise_result *result,
		  struct error *err);

/* Writes how the agent ended ("exited with code 3", "was killed by signal 11 (Segmentation fault), core dumped"). */
void supervise_describe(int status, char *text, size_t size);
