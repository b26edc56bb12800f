/* SPDX-License-Identifier: Apache-2.0 */
/* Starting, killing and outliving worker processes. Called by job.c. Never blocks. */
#include "agent/job/worker_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/job/initlink.h"
#include "agent/job/wire.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"

static int
compare_fds(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
child_ended(int status, bool gone, void *data)
{
	struct slot *slot = data;

	slot->child = NULL;
	list_remove(&slot->node);
	slot->on_exit(slot, status, gone, slot->data);
	close_fd(&slot->pidfd);
	free(slot);
}

/* A fork of the agent as a sibling: child of init, whose death it is told. */
static int
slot_clone(struct slot *slot, const struct worker_start *start, struct error *err)
{
	struct clone_args args = {
		/* With CLONE_PARENT the exit signal is that of the agent itself and must be given as 0
		 * (clone(2)). */
		.flags = CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&slot->pidfd,
	};

	slot->pid = sys_clone3(&args);
	if (slot->pid == 0)
		worker_enter(start);
	if (slot->pid < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "start a worker");
	return 0;
}

static int
slot_go(struct slot *slot, struct initlink *link, int sock, struct error *err)
{
	struct job_wire_ack go = { .head.kind = JOB_WIRE_GO };

	slot->child = initlink_watch(link, slot->pid, child_ended, slot, err);
	if (!slot->child)
		return -1;
	if (send_msg(sock, &go, sizeof(go), NULL, 0, MSG_DONTWAIT) < 0)
		return error_sys(err, "let the worker go");
	return 0;
}

struct slot *
slot_start(struct initlink *link, int dev_null, int *keep, size_t n_keep, job_work_fn *work,
	   void *arg, int *sock, struct error *err)
{
	auto_close int ours = -1;
	auto_close int theirs = -1;
	struct slot *slot;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "make a worker's socket");
		return NULL;
	}
	ours = pair[0];
	theirs = pair[1];
	slot = calloc(1, sizeof(*slot));
	/* the sender goes with each message: a container's process may get hold of the other end (job_messages.c) */
	if (!slot || fcntl(ours, F_SETFL, O_NONBLOCK) < 0 ||
	    setsockopt(ours, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)) < 0) {
		free(slot);
		error_nomem(err, "starting a worker");
		return NULL;
	}
	list_init(&slot->node);
	slot->pidfd = -1;
	keep[n_keep++] = theirs;
	qsort(keep, n_keep, sizeof(*keep), compare_fds);
	struct worker_start start = {
		.sock = theirs,
		.dev_null = dev_null,
		.keep = keep,
		.n_keep = n_keep,
		.work = work,
		.arg = arg,
	};
	if (slot_clone(slot, &start, err) < 0 || slot_go(slot, link, ours, err) < 0) {
		slot_free(slot);
		return NULL;
	}
	*sock = steal_fd(&ours);
	return slot;
}

void
slot_kill(const struct slot *slot)
{
	if (slot->pidfd >= 0)
		(void)sys_pidfd_send_signal(slot->pidfd, SIGKILL);
}

void
slot_free(struct slot *slot)
{
	if (!slot)
		return;
	slot_kill(slot);
	child_unwatch(slot->child);
	list_remove(&slot->node);
	close_fd(&slot->pidfd);
	free(slot);
}
