/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The debug console: shells of the guest for whoever of the host connects, or one on the guest's own console. It is there
 * only if agent.debug_console asks for it, and not at all in a build with -Ddebug_console=false. Wired by agent/agent_main.c. A
 * shell is a child of init like every other process; all relaying is done by the loop, which never blocks.
 */
#pragma once

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"

struct initlink;
struct jobs;
struct console;

/* At a time. Who comes when all are taken is told so and sent away. */
#define CONSOLE_SESSIONS_MAX 4

struct console_spec {
	struct loop *loop;
	struct jobs *jobs;
	struct initlink *init;
	const struct roots *roots; /* must outlive the console */
	const char *address;       /* agent/server/address.h; NULL: /dev/console */
};

/* NULL and err if it cannot listen, or there is no /dev/console. */
struct console *console_new(const struct console_spec *spec, struct error *err);

/* Hangs up all sessions. Before jobs_free(). NULL is allowed. */
void console_free(struct console *console);

/* Sessions now, those included whose shell has not ended yet. */
unsigned int console_sessions(const struct console *console);
