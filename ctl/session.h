/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process in a container and our own stdio: streams, signals and window size go to and fro until it has exited
 * and its output is read. Blocks; one poll loop, no threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct ttrpc_client;

struct session {
	struct ttrpc_client *client;
	const char *container_id, *exec_id;
	bool terminal;          /* the process has one */
	int in, out, err;       /* our ends; in = -1: no input */
	int vm_pidfd;           /* ends the session when readable; -1: none */
	int stop_fd;            /* readable: end the process with SIGTERM, then SIGKILL; -1: none */
	uint64_t first_byte_ns; /* monotonic time of the first output, 0 if none came */
	uint64_t exit_ns;       /* when WaitProcess was answered */
};

/* Relays until the process has ended. Returns its exit code, or -1 and err. Takes over the signals that a terminal or
 * a user sends (INT, TERM, HUP, QUIT, USR1, USR2, WINCH) for the time of the call. */
int session_run(struct session *s, struct error *err);
