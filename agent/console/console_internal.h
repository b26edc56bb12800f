/* SPDX-License-Identifier: Apache-2.0 */
/* What console.c (who connects), session.c (one of them) and shell.c (the process) share. Nobody else includes this. */
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
	int listener, spare; /* spare: for address_accept() */
	char *path;          /* of a unix socket */
	int serial;          /* /dev/console, -1: there is a listener */
	struct watch *watch;
	void *saved; /* struct termios of the serial console */
	struct list sessions;
	unsigned int n_sessions;
};

/* ---- session.c ---- */

/* A session with fd, which becomes its own (also when this fails). */
int session_start(struct console *console, int fd, struct error *err);
void session_free(struct session *s);
struct session *session_of_node(struct list *node);

/* ---- console.c ---- */

/* A session has ended and is gone. */
void console_session_gone(struct console *console);

/* ---- shell.c ---- */

#define SHELL_MSG_TTY 1 /* worker_send(): the master of the shell's terminal */

/* job_work_fn: starts a shell on a terminal of its own. arg is the struct roots. */
int shell_work(struct worker *w, void *arg, struct error *err);
