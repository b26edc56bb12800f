/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debug console: shells in the guest for connections from the host, or one shell on the guest's
 * own console. It exists only if agent.debug_console is set, and not at all in a build with
 * -Ddebug_console=false. agent/agent_main.c connects it. A shell is a child of init like every
 * other process; the loop relays its bytes and never blocks.
 */
#pragma once

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"

struct initlink;
struct jobs;
struct console;

/* Concurrent sessions. Further connections get a message and are closed. */
#define CONSOLE_SESSIONS_MAX 4

struct console_spec {
	struct loop *loop;
	struct jobs *jobs;
	struct initlink *init;
	/* must outlive the console */
	const struct roots *roots;
	/* see agent/server/address.h; NULL: /dev/console */
	const char *address;
};

/* Starts to listen, or starts a session on /dev/console. Returns NULL and sets err if that fails.
 * spec and its address are copied or used during the call only. */
struct console *console_new(const struct console_spec *spec, struct error *err);

/* Hangs up all sessions and frees the console. Must be called before jobs_free(). NULL is
 * allowed. */
void console_free(struct console *console);

/* Returns the number of sessions, including those that are hung up but whose shell has not ended
 * yet. */
unsigned int console_sessions(const struct console *console);
