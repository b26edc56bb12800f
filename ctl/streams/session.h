/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects the local stdio to a process in a container: relays streams, signals and window size
 * until the process has exited and its output is read. Blocks; one poll loop, no threads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct outlet;
struct ttrpc_client;

#define SESSION_KEYS_MAX 8

/* Keys that end a session while the process goes on; n 0: none. */
struct session_keys {
	unsigned char bytes[SESSION_KEYS_MAX];
	size_t n;
};

struct session {
	struct ttrpc_client *client;
	const char *container_id, *exec_id;
	/* the process has a terminal */
	bool terminal;
	/* local ends; in = -1: no input */
	int in, out, err;
	/* takes the output instead of `out` and `err`, or NULL */
	struct outlet *outlet;
	/* a socket of outlet_connect(), the source of output and end instead of the agent; 0: none.
	 * SIGTERM and SIGHUP then end the session, not the process. */
	int feed_fd;
	/* the process's stdin stays open at the end of the input */
	bool keeps_stdin;
	/* with feed_fd: all signals end the session */
	bool keeps_signals;
	struct session_keys detach;
	/* the detach keys were typed */
	bool is_detached;
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

/* Relays until the process has ended. Returns its exit code, 0 with is_detached set, or -1 and err.
 * Handles INT, TERM, HUP, QUIT, USR1, USR2 and WINCH for the duration of the call. */
int session_run(struct session *s, struct error *err);

/* Parses keys as in "ctrl-p,ctrl-q"; "": none. Returns 0, or -1 and err (INVALID_ARGUMENT). */
int session_parse_keys(const char *text, struct session_keys *out, struct error *err);
