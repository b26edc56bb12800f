/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's control of a container's new process (child.h). */
#include "agent/container/launch/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/hooks/launch.h"
#include "agent/container/launch/clone.h"
#include "agent/container/launch/container_init.h"
#include "agent/container/launch/handshake.h"
#include "agent/container/launch/params.h"
#include "agent/container/launch/rlimits.h"
#include "agent/job/steps.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log_event.h"
#include "lib/sys.h"

static bool child_is_named(const struct container_init *e);
static int child_chown_stdio(const struct container_init *e, uint32_t uid, struct error *err);
static int child_open_report(struct worker *w, struct container_init *e, struct error *err);
static int child_await_user(const struct child_process *c, const struct container_init *e,
			    struct error *err);
static int child_forward_terminal(struct worker *w, struct child_process *c, struct error *err);
static int child_lead_hooks_process(const struct child_process *c, const struct container_init *e,
				    struct error *err);

int
child_entry(struct container_init *e, const struct roots *roots, const Grpc__Spec *spec,
	    const Grpc__Process *process, struct error *err)
{
	*e = (struct container_init){
		.roots = roots,
		.process = process,
		.linux = spec->linux,
		.rlimits = process->rlimits,
		.n_rlimits = process->n_rlimits,
		.no_new_privs = process->nonewprivileges,
		.terminal = process->terminal,
		.filtered = spec->linux->seccomp != NULL,
		.sock = -1,
		.stdio = { -1, -1, -1 },
		.gate = -1,
		.report = -1,
		.pid_ns = -1,
		.hostname = spec->hostname,
	};
	if (!process->capabilities)
		return error_set(err, ERROR_INVALID_ARGUMENT, "missing process capabilities");
	return 0;
}

void
child_caps(struct worker *w, struct container_init *e, bool warn)
{
	char left_out[CAP_LEFT_OUT_MAX];
	const struct log_field fields[] = { { "container-id", e->id },
					    { "capabilities", left_out } };

	cap_sets_from_spec(e->process->capabilities, cap_grantable(e->user), &e->caps, left_out);
	if (warn && *left_out)
		worker_event(w, LOG_LEVEL_WARN, EVENT_CAPABILITY_LEFT_OUT, fields,
			     ARRAY_LEN(fields),
			     "container %s: process.capabilities: ignored, because unknown or not "
			     "grantable: %s",
			     e->id, left_out);
}

int
child_own_stdio(const struct container_init *e, struct error *err)
{
	return child_is_named(e)
		       ? 0
		       : child_chown_stdio(e, e->process->user ? e->process->user->uid : 0, err);
}

/* Returns whether the user is given by name, which only the child can resolve. */
static bool
child_is_named(const struct container_init *e)
{
	return e->process->user && *e->process->user->username;
}

static int
child_chown_stdio(const struct container_init *e, uint32_t uid, struct error *err)
{
	uint32_t outside = uid;

	if (!e->user && !uid)
		return 0;
	if (e->maps ? !ns_map_find(&e->maps->uid, uid, &outside)
		    : e->user && !ns_id_outside(e->linux->uidmappings, e->linux->n_uidmappings, uid,
						&outside))
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.user.uid: %u is not mapped",
				 uid);
	for (int i = 0; i < 3; i++) {
		struct stat st;

		if (e->stdio[i] < 0 || fstat(e->stdio[i], &st) < 0 || !S_ISFIFO(st.st_mode))
			continue;
		if (fchown(e->stdio[i], outside, (gid_t)-1) < 0)
			return error_sys(err, "failed to change the owner of stdio to user %u",
					 outside);
	}
	return 0;
}

int
child_start(struct worker *w, struct container_init *e, uint64_t flags, int cgroup_fd,
	    struct child_process *c, struct error *err)
{
	struct clone_args args = { 0 };
	int pair[2], pidfd = -1;
	pid_t pid;

	/* Inherited by the fork, so that it cannot be traced before its program runs. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_sys(err, "failed to clear the dumpable flag");
	if (child_open_report(w, e, err) < 0) {
		close_fd(&e->report);
		return -1;
	}
	/* The new process gets no copies of what is held back. */
	if (worker_flush(w, err) < 0) {
		close_fd(&e->report);
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "failed to create a socket pair");
	/* With CLONE_PARENT the exit signal is that of the calling process, and must be 0 here
	 * (clone(2)). */
	args.flags = flags | CLONE_PARENT | CLONE_PIDFD | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0);
	args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	args.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0;
	e->sock = pair[1];
	pid = e->ns && !e->ns->late ? clone_in(e->ns->user_ns, e->ns->pid_ns, &args)
				    : sys_clone3(&args);
	if (pid == 0) {
		(void)close(pair[0]);
		(void)close(worker_fd(w));
		container_init_run(e);
	}
	if (pid < 0)
		error_sys(err, "failed to clone a process");
	(void)close(pair[1]);
	e->sock = -1;
	close_fd(&e->report);
	if (pid < 0) {
		(void)close(pair[0]);
		return -1;
	}
	*c = (struct child_process){ .pid = pid, .pidfd = pidfd, .sock = pair[0] };
	/* The agent does not know the set-up process of a last fork. */
	if (e->pid_ns >= 0) {
		const struct undo undo = { .kind = &undo_kill, .id = pid, .fd = pidfd };

		return worker_step(w, &undo, err);
	}
	return worker_process(w, pid, pidfd, err);
}

/* Makes the pipe for the report of a failed execve, and sends the reading end to the agent
 * before the process exists. */
static int
child_open_report(struct worker *w, struct container_init *e, struct error *err)
{
	int fds[2], result;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe for execve reports");
	e->report = fds[1];
	result = worker_send(w, LAUNCH_MSG_REPORT, NULL, 0, fds, 1, false, err);
	(void)close(fds[0]);
	return result;
}

int
child_set_oom_score(pid_t pid, const struct container_init *e, struct error *err)
{
	char path[48], value[24];

	if (pid)
		(void)snprintf(path, sizeof(path), "%d/oom_score_adj", (int)pid);
	else
		(void)snprintf(path, sizeof(path), "self/oom_score_adj");
	(void)snprintf(value, sizeof(value), "%" PRId64, e->process->oomscoreadj);
	/* EACCES: the score would be lowered without CAP_SYS_RESOURCE. ENOENT, ESRCH: the
	 * process has ended and reported why. */
	if (write_text_at(e->roots->proc, path, value) < 0 && errno != EACCES && errno != ENOENT &&
	    errno != ESRCH)
		return error_sys(err, "failed to set process.oomScoreAdj to %s", value);
	return 0;
}

/* Releases the process with the seccomp program (NULL: none). */
static int
child_release(struct child_process *c, const struct filter *filter, struct error *err)
{
	if (handshake_send(c->sock, HANDSHAKE_RUN, filter, filter ? filter_size(filter) : 0, -1) <
	    0)
		return error_sys(err, "failed to release the process");
	return 0;
}

int
child_lead(struct worker *w, struct child_process *c, const struct container_init *e,
	   const struct filter *filter, struct error *err)
{
	if (!e->join && child_set_oom_score(c->pid, e, err) < 0)
		return -1;
	if (child_is_named(e) && child_await_user(c, e, err) < 0)
		return -1;
	if (e->process->terminal && child_forward_terminal(w, c, err) < 0)
		return -1;
	if (e->hooks && hook_stage_lead(w, e->hooks, c->sock, c->pid, c->pidfd, err) < 0)
		return -1;
	/* For handshake_recv_process(), which checks the senders of a last fork. */
	if (e->pid_ns >= 0 && handshake_name_senders(c->sock) < 0)
		return error_sys(err, "failed to prepare the last fork");
	/* A process that has failed has said why, or will be found to have ended. */
	if (child_release(c, filter, err) < 0 && err->errnum != EPIPE && err->errnum != ECONNRESET)
		return -1;
	*err = ERROR_INIT;
	if (handshake_recv(c->sock, HANDSHAKE_READY, NULL, 0, NULL, err) < 0)
		return -1;
	/* A process in a user namespace cannot raise its limits; the worker can. */
	return e->user && e->pid_ns < 0 ? rlimits_apply(c->pid, e->rlimits, e->n_rlimits, err) : 0;
}

/* Receives the uid of a user given by name and changes the owner of stdio. */
static int
child_await_user(const struct child_process *c, const struct container_init *e, struct error *err)
{
	uint32_t uid;
	ssize_t n = handshake_recv(c->sock, HANDSHAKE_USER, &uid, sizeof(uid), NULL, err);

	if (n < 0)
		return -1;
	if (n != sizeof(uid))
		return error_set(err, ERROR_INTERNAL, "the process sent an invalid user id");
	return child_chown_stdio(e, uid, err);
}

static int
child_forward_terminal(struct worker *w, struct child_process *c, struct error *err)
{
	auto_close int master = -1;

	if (handshake_recv(c->sock, HANDSHAKE_TTY, NULL, 0, &master, err) < 0)
		return -1;
	return worker_send(w, LAUNCH_MSG_TTY, NULL, 0, &master, 1, true, err);
}

int
child_fork_last(struct worker *w, struct child_process *c, const struct container_init *e,
		struct error *err)
{
	bool has_hooks = e->hooks && hooks_has(e->hooks->launch->spec->hooks, HOOK_START_CONTAINER);
	int pidfd = -1;
	pid_t pid;

	if ((has_hooks && child_lead_hooks_process(c, e, err) < 0) ||
	    handshake_recv_process(c->sock, c->pid, c->pidfd, &pid, &pidfd, err) < 0)
		return -1;
	close_fd(&c->pidfd);
	c->pid = pid;
	c->pidfd = pidfd;
	if (worker_process(w, c->pid, c->pidfd, err) < 0 ||
	    rlimits_apply(c->pid, e->rlimits, e->n_rlimits, err) < 0)
		return -1;
	if (send_msg(c->sock, "", 1, NULL, 0, 0) < 0)
		return error_sys(err, "failed to release the process");
	/* The process for hooks needs its pid. */
	return has_hooks ? handshake_recv_running(c->sock, c->pid, c->pidfd, err) : 0;
}

/* Receives the process that runs the startContainer hooks and applies the container's limits to
 * it. It exits when the gate is closed. */
static int
child_lead_hooks_process(const struct child_process *c, const struct container_init *e,
			 struct error *err)
{
	auto_close int pidfd = -1;
	pid_t pid;

	if (handshake_recv_process(c->sock, c->pid, c->pidfd, &pid, &pidfd, err) < 0)
		return -1;
	return rlimits_apply(pid, e->rlimits, e->n_rlimits, err);
}

void
child_end(struct child_process *c, bool kill)
{
	if (kill && c->pid > 0)
		(void)sys_pidfd_send_signal(c->pidfd, SIGKILL);
	close_fd(&c->pidfd);
	close_fd(&c->sock);
	c->pid = 0;
}
