/* SPDX-License-Identifier: Apache-2.0 */
/* One process that a host can name: a container's init process or an exec. It lives from the
 * creation of its streams until its status was reported and its output was read to the end, or
 * until its container is freed. Loop side: never blocks.
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

/* Limit on the length of an exec_id, in bytes. */
#define EXEC_ID_MAX 1024
/* Time for the host to read output that is passed through, after the exit. */
#define PROCESS_DELIVERY_MS 10000

/* Notifications of a process to its container. */
struct process_owner {
	/* The process has ended. */
	void (*exited)(struct container *c, struct process *p);
	/* A stream has ended, or the status was reported: the process may be finished. */
	void (*changed)(struct container *c);
};

struct process {
	/* In the container's list. */
	struct list node;
	const struct process_owner *owner;
	struct container *container;
	/* Owned by the container. */
	const char *container_id;
	/* The container's id for the init process. */
	char *exec_id;
	/* The pid in the agent's pid namespace; 0: none yet. */
	pid_t pid;
	int pidfd;
	struct child *child;
	/* The reading end of the pipe for a struct exec_report; -1: none, or closed. */
	int report;
	struct watch *report_watch;
	/* The call that created it has succeeded: calls can name it. */
	bool ready;
	bool exited;
	/* The status was reported: calls can only name the process to read its output. */
	bool status_reported;
	/* Valid after the exit: the code, or 128 + the signal. */
	int status;
	struct list waiters;
	/* Limits the delivery of output that is passed through, before the status is reported;
	 * NULL: not running. */
	struct timer *delivery;
	/* The delivery has timed out. */
	bool undelivered;
	/* A SIGTERM that is yet to be sent (agent/sandbox/terminate.c). */
	struct {
		struct timer *timer;
		unsigned int looks;
		int proc;
	} term;
	struct stdio stdio;
};

/* A request to wait, in its owner's memory. The owner sets `done`, whose err is ERROR_OK or the
 * reason for a missing status. */
struct process_waiter {
	struct list node;
	struct pending pending;
	void (*done)(struct process_waiter *w, int status, const struct error *err);
};

/* Allocates a process without streams and pid, which is in no list. Returns NULL and err on
 * failure. */
struct process *process_new(const struct process_owner *owner, struct container *c,
			    const char *container_id, struct loop *loop, const char *exec_id,
			    struct error *err);

/* Frees the process; if it still runs, it is no longer watched. Waiters get NOT_FOUND, readers
 * the end of the stream, writers ABORTED. */
void process_free(struct process *p);

/* Takes ownership of `pidfd` and watches the process, which still waits at a gate. Returns 0, or
 * -1 and err. */
int process_attach(struct process *p, struct initlink *link, pid_t pid, int pidfd,
		   struct error *err);

/* Takes ownership of the pipe through which the process reports why it could not execute its
 * program; the report is logged. Returns 0, or -1 and err. */
int process_take_report(struct process *p, int fd, struct error *err);

/* Returns whether the process can be dropped. */
bool process_is_over(const struct process *p);

/* Waits for the exit. Returns 0 with the exit code in *status, or 1, after which w->done is
 * called unless w->pending is cancelled. Output that is passed through is delivered first,
 * unless the host does not read it within PROCESS_DELIVERY_MS. */
int process_wait(struct process *p, struct process_waiter *w, int *status);

/* Sends a signal with pidfd_send_signal(2). Returns 0, also for a process that has ended, or -1
 * and err. */
int process_signal(const struct process *p, int signal, struct error *err);

/* Converts a status of waitpid(2) to the exit code, or 128 + the signal. Pure. */
int process_exit_code(int wait_status);
