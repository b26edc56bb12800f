/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process that a host can name: a container's init or an exec'd one. Kept from the moment its
 * streams are made until its status was taken and its output was read to the end (or until its
 * container goes). Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/container/stdio/stdio.h"
#include "agent/job/initlink.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

struct container;
struct process;

/* bytes */
#define EXEC_ID_MAX 1024
/* for a host that does not take what is passed through to it */
#define PROCESS_DELIVERY_MS 10000

/* What a process tells its container. */
struct process_owner {
	/* It has ended. */
	void (*exited)(struct container *c, struct process *p);
	/* A stream has ended, or its status was taken: it may be over. */
	void (*changed)(struct container *c);
};

struct process {
	/* in its container */
	struct list node;
	const struct process_owner *owner;
	struct container *container;
	/* the container's own */
	const char *container_id;
	/* the container's id for its init */
	char *exec_id;
	/* in the agent's pid namespace; 0: none yet */
	pid_t pid;
	int pidfd;
	struct child *child;
	/* the reading end of its pipe for a struct exec_report; -1: none, or over */
	int report;
	struct watch *report_watch;
	/* the call that made it has succeeded: it can be named */
	bool ready;
	bool exited;
	/* somebody took its status: it can no longer be named but to read its output */
	bool status_reported;
	/* once exited: its code, or 128 + the signal */
	int status;
	struct list waiters;
	/* of output that is passed through, before its status is told; NULL: none, or over */
	struct timer *delivery;
	/* and it was not taken in time */
	bool undelivered;
	struct {
		struct timer *timer;
		unsigned int looks;
		int proc;
	} term; /* a SIGTERM that is yet to be sent: agent/sandbox/terminate.c */
	struct stdio stdio;
};

/* A request to wait, in its owner's memory. `done` is set by the owner; err is ERROR_OK, or says
 * why there is no status. */
struct process_waiter {
	struct list node;
	struct pending pending;
	void (*done)(struct process_waiter *w, int status, const struct error *err);
};

/* A process without streams, pid or place in a list. NULL and err. */
struct process *process_new(const struct process_owner *owner, struct container *c,
			    const char *container_id, struct loop *loop, const char *exec_id,
			    struct error *err);

/* Frees it; a process that still runs is no longer watched. Waiters get NOT_FOUND, readers the
 * end of their stream, writers ABORTED. */
void process_free(struct process *p);

/* Takes pidfd over and watches the process, which still waits at a gate. 0, or -1. */
int process_attach(struct process *p, struct initlink *link, pid_t pid, int pidfd,
		   struct error *err);

/* Takes over the pipe in which the process tells why it could not become its program, for the
 * log. 0, or -1. */
int process_take_report(struct process *p, int fd, struct error *err);

/* Can it be dropped? */
bool process_is_over(const struct process *p);

/* 0: *status is the exit code, and the process counts as collected. 1: done follows, for which
 * w->pending waits. Output that is passed through has been handed over by then, but for a host
 * that does not take it (PROCESS_DELIVERY_MS). */
int process_wait(struct process *p, struct process_waiter *w, int *status);

/* pidfd_send_signal(2); 0 also for a process that is dead already. */
int process_signal(const struct process *p, int signal, struct error *err);

/* 128 + signal, or the code, of a status as of waitpid(2). */
int process_exit_code(int wait_status);
