/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects the local stdio to a process in a container: relays streams, signals and window size
 * until the process has exited and its output is read. Blocks; one poll loop, no threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct ttrpc_client;

struct session {
	struct ttrpc_client *client;
	const char *container_id, *exec_id;
	/* the process has a terminal */
	bool terminal;
	/* local ends; in = -1: no input */
	int in, out, err;
	/* `out` and `err` are the container's log (ctl/log.h) */
	bool is_log;
	/* ends the session when readable; -1: none */
	int vm_pidfd;
	/* fd that, when readable, ends the process with stop_signal (0: SIGTERM), then SIGKILL;
	 * -1: none */
	int stop_fd;
	int stop_signal;
	/* monotonic time of the first output, 0: none yet */
	uint64_t first_byte_ns;
	/* monotonic time of the reply to WaitProcess */
	uint64_t exit_ns;
};

/* Relays until the process has ended. Returns its exit code, or -1 and err. Handles INT, TERM,
 * HUP, QUIT, USR1, USR2 and WINCH for the duration of the call. */
int session_run(struct session *s, struct error *err);
