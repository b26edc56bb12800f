/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of init and of `tatami supervise`: starts the agent, reaps all processes, and
 * reports the end of its processes to the agent (lib/initproto.h). Idle without wake-ups.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

enum supervise_cause {
	/* By itself; see `status`. */
	SUPERVISE_AGENT_ENDED,
	/* By the agent, with `exit_code`. */
	SUPERVISE_POWEROFF_ASKED,
	/* PID 1 has received signal `status`, which asks for power-off. */
	SUPERVISE_SIGNALLED,
};

struct supervise_result {
	enum supervise_cause cause;
	/* Wait status of the agent, or the signal. */
	int status;
	/* With SUPERVISE_POWEROFF_ASKED. */
	int exit_code;
	/* Number of processes reaped that were not registered. */
	uint64_t strangers;
};

struct supervise_spec {
	/* Signals ask for power-off; otherwise they are forwarded to the agent. */
	bool is_pid1;
	/* For INITPROTO_BOOT. */
	uint64_t main_ns;
	/* The agent's program, in the new process: `fd` is its end of the socket (CLOEXEC).
	 * Returns only if it failed; the process then ends with what it returned. */
	int (*start)(int fd, void *data);
	void *data;
	/* Called in the parent after the agent's process has started, for work that need not delay
	 * it. May be NULL. */
	void (*started)(void *data);
	/* False for a program that does not know the protocol; start() then gets fd -1. */
	bool has_protocol;
	/* Directory of the cgroup in which the agent is started, or 0. */
	int cgroup_fd;
};

/* Runs the agent until it has ended, it asks for power-off, or a signal asks for it. Blocks until
 * then. On SUPERVISE_POWEROFF_ASKED and SUPERVISE_SIGNALLED the agent may still be running. Returns
 * -1 and err only if no agent could be started. */
int supervise_run(const struct supervise_spec *spec, struct supervise_result *result,
		  struct error *err);

/* Describes the end of the agent: "exited with code 3", "was killed by signal 11 (Segmentation
 * fault), core dumped". */
void supervise_describe(int status, char *text, size_t size);
