/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and kills worker processes, which may outlive their jobs. Called by job.c. Never
 * blocks. */
#include "agent/job/worker_proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/job/initlink.h"
#include "agent/job/job_internal.h"
#include "agent/job/wire.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"

static int worker_proc_clone(struct worker_proc *proc, const struct worker_start *start,
			     struct error *err);
static int worker_proc_watch(struct worker_proc *proc, struct initlink *link, struct error *err);

struct worker_proc *
worker_proc_start(const struct jobs *jobs, int *keep, size_t n_keep, job_work_fn *work, void *arg,
		  int *sock, struct error *err)
{
	auto_close int ours = -1;
	auto_close int theirs = -1;
	struct worker_proc *proc;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "failed to create a worker's socket");
		return NULL;
	}
	ours = pair[0];
	theirs = pair[1];
	proc = calloc(1, sizeof(*proc));
	/* Each message carries its sender: a container's process may obtain the other end
	 * (job_messages.c). */
	if (!proc || fcntl(ours, F_SETFL, O_NONBLOCK) < 0 ||
	    setsockopt(ours, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int)) < 0) {
		free(proc);
		error_nomem(err, "starting a worker");
		return NULL;
	}
	list_init(&proc->node);
	proc->pidfd = -1;
	keep[n_keep++] = theirs;
	struct worker_start start = {
		.sock = theirs,
		.dev_null = jobs->dev_null,
		.kinds = jobs->kinds,
		.keep = keep,
		.n_keep = n_keep,
		.work = work,
		.arg = arg,
	};
	if (worker_proc_clone(proc, &start, err) < 0 ||
	    worker_proc_watch(proc, jobs->link, err) < 0) {
		worker_proc_free(proc);
		return NULL;
	}
	*sock = steal_fd(&ours);
	return proc;
}

/* Forks the agent as a sibling: a child of init, which receives its exit. */
static int
worker_proc_clone(struct worker_proc *proc, const struct worker_start *start, struct error *err)
{
	struct clone_args args = {
		/* With CLONE_PARENT the exit signal is that of the agent itself, and must be given
		 * as 0 (clone(2)). */
		.flags = CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&proc->pidfd,
	};

	proc->pid = sys_clone3(&args);
	if (proc->pid == 0)
		worker_enter(start);
	if (proc->pid < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "failed to start a worker");
	return 0;
}

static void
worker_proc_child_ended(int status, bool gone, void *data)
{
	struct worker_proc *proc = data;

	proc->child = NULL;
	list_remove(&proc->node);
	proc->on_exit(proc, status, gone, proc->data);
	close_fd(&proc->pidfd);
	free(proc);
}

static int
worker_proc_watch(struct worker_proc *proc, struct initlink *link, struct error *err)
{
	proc->child = initlink_watch(link, proc->pid, worker_proc_child_ended, proc, err);
	return proc->child ? 0 : -1;
}

int
worker_proc_go(int sock, struct error *err)
{
	const struct job_wire_ack go = { .head.kind = JOB_WIRE_GO };

	if (send_msg(sock, &go, sizeof(go), NULL, 0, MSG_DONTWAIT) < 0)
		return error_sys(err, "failed to open the worker's gate");
	return 0;
}

void
worker_proc_kill(const struct worker_proc *proc)
{
	if (proc->pidfd >= 0)
		(void)sys_pidfd_send_signal(proc->pidfd, SIGKILL);
}

void
worker_proc_free(struct worker_proc *proc)
{
	if (!proc)
		return;
	worker_proc_kill(proc);
	child_unwatch(proc->child);
	list_remove(&proc->node);
	close_fd(&proc->pidfd);
	free(proc);
}
