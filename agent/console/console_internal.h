/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by console.c (connections), session.c (one session) and shell.c (the shell's process)
 * only. */
#pragma once

#include <stdbool.h>

#include "agent/console/console.h"
#include "agent/console/window.h"
#include "agent/job/job.h"
#include "lib/list.h"

struct child;
struct session;

struct console {
	struct console_spec spec;
	/* the latter for address_accept() */
	int listener, spare;
	/* path of the unix socket, NULL for vsock */
	char *path;
	/* /dev/console, or -1 if there is a listener */
	int serial;
	struct watch *watch;
	/* struct termios of the serial console before it was made raw, or NULL */
	void *saved;
	struct list sessions;
	unsigned int n_sessions;
	/* Releases the place of a session that was freed. */
	void (*session_gone)(struct console *console);
};

/* ---- session.c ---- */

/* Starts a session whose peer is fd. Takes fd, also on failure. Returns 0, or -1 and sets err. */
int session_start(struct console *console, int fd, struct error *err);
void session_free(struct session *s);
struct session *session_of_node(struct list *node);

/* ---- shell.c ---- */

/* worker_send(): carries the master of the shell's terminal */
#define SHELL_MSG_TTY 1

/* Starts a shell on a terminal of its own (job_work_fn; arg is the struct roots). Worker side: may
 * block. */
int shell_work(struct worker *w, void *arg, struct error *err);
