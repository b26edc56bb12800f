/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parent and only reaper of all processes. Called by init and by `tatami supervise`. The states of
 * a registered process:
 *
 *   CHILD_LIVE --reaped--> CHILD_UNSENT --sent--> owed --INITPROTO_TAKEN--> dropped
 *   CHILD_GONE (registered after it was reaped) --sent--> dropped
 *
 * The order "peek, drain, reap" ensures that a registration that was sent before a process ended is
 * known when the process is reaped. Blocks only in its own poll(2), allocates no memory, and
 * tolerates any input from the socket.
 */
#include "init/supervise.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/children.h"
#include "init/forget.h"
#include "init/kill_orphans.h"
#include "lib/cleanup.h"
#include "lib/crash.h"
#include "lib/deadline.h"
#include "lib/initproto.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/stack.h"
#include "lib/sys.h"

/* Grace time of an agent that has asked `tatami supervise` for the end. */
#define FAREWELL_MS 5000
/* Before a message is sent again for which the kernel had no memory: the socket is writable all
 * the time. */
#define REST_MS 10

struct supervisor {
	const struct supervise_spec *spec;
	struct supervise_result *result;
	struct children children;
	/* 0 after it has been reaped. */
	pid_t agent;
	/* -1 without protocol, or after the agent has closed its end. */
	int sock;
	/* signalfd */
	int signals;
	/* Some entries wait because the socket was full. */
	bool has_unsent;
	/* it was not, but the kernel had no memory: they wait for a moment */
	bool is_resting;
	/* INITPROTO_POWEROFF was received. */
	bool is_asked;
	/* Deadline for the end of the agent: CLOCK_MONOTONIC in ns, or 0. */
	uint64_t farewell;
	bool is_done;
};

/* Signals that are read; all others except faults are ignored. */
static const int read_signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGPWR, SIGHUP };

static int supervise_take_signals(struct error *err);
static int supervise_start_agent(struct supervisor *s, struct error *err);
static void supervise_wait_for_events(struct supervisor *s);
static void supervise_reap(struct supervisor *s);
static void supervise_drain(struct supervisor *s);
static void supervise_message(struct supervisor *s, const struct initproto_msg *msg);
static void supervise_send_waiting(struct supervisor *s);
static bool supervise_send_entry(struct supervisor *s, struct child_entry *e);
static bool supervise_send_to_agent(struct supervisor *s, uint32_t type, pid_t pid, int32_t value);

int
supervise_run(const struct supervise_spec *spec, struct supervise_result *result, struct error *err)
{
	struct supervisor s = { .spec = spec, .result = result, .sock = -1 };

	*result = (struct supervise_result){ .cause = SUPERVISE_AGENT_ENDED };
	children_init(&s.children);
	s.signals = supervise_take_signals(err);
	if (s.signals < 0)
		return -1;
	if (!spec->is_pid1 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		log_warn("supervise", "failed to become the parent of orphans: %s",
			 strerror(errno));
	if (supervise_start_agent(&s, err) < 0) {
		close_fd(&s.signals);
		return -1;
	}
	if (spec->started)
		spec->started(spec->data);
	/* The boot has used more of the stack than what follows. */
	stack_release();
	forget_messages();
	while (!s.is_done) {
		supervise_wait_for_events(&s);
		supervise_reap(&s);
	}
	if (!spec->is_pid1)
		kill_orphans(&s.children, &result->strangers);
	children_release(&s.children);
	close_fd(&s.signals);
	close_fd(&s.sock);
	return 0;
}

static bool
supervise_is_among(const int *list, size_t n, int sig)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == sig)
			return true;
	return false;
}

/* Ignored signals are discarded at once, whereas blocked ones could be queued until memory is
 * exhausted. */
static int
supervise_take_signals(struct error *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(read_signals); i++)
		(void)sigaddset(&set, read_signals[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return error_sys(err, "failed to block signals");
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (!supervise_is_among(read_signals, ARRAY_LEN(read_signals), sig) &&
		    !supervise_is_among(crash_signals, CRASH_SIGNALS, sig) && sig != SIGTRAP)
			(void)sigaction(sig, &ignore, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_sys(err, "failed to create a signalfd");
	return fd;
}

/* As fork(2), but into the cgroup of the agent, if any: moving the process there later would take
 * 10 ms. */
static pid_t
supervise_fork_agent(int cgroup_fd)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)cgroup_fd,
	};
	pid_t pid = cgroup_fd > 0 ? sys_clone3(&args) : -1;

	if (pid >= 0)
		return pid;
	pid = fork();
	if (pid == 0 && cgroup_fd > 0 && write_text_at(cgroup_fd, "cgroup.procs", "0") < 0)
		log_warn("supervise", "failed to move the agent into its cgroup: %s",
			 strerror(errno));
	return pid;
}

static void
supervise_give_signals_back(void)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		(void)sigaction(sig, &standard, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
supervise_start_agent(struct supervisor *s, struct error *err)
{
	struct initproto_msg boot = {
		.type = INITPROTO_BOOT,
		.flags = s->spec->is_pid1 ? INITPROTO_IS_PID1 : 0,
		.ns = { s->spec->main_ns, monotonic_ns() },
	};
	int pair[2] = { -1, -1 };
	pid_t pid;

	if (s->spec->has_protocol) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return error_sys(err, "failed to create the socket to the agent");
		if (RETRY_EINTR(send(pair[0], &boot, sizeof(boot), MSG_DONTWAIT | MSG_NOSIGNAL)) <
		    0)
			log_warn("supervise", "failed to send the boot times: %s", strerror(errno));
	}
	pid = supervise_fork_agent(s->spec->cgroup_fd);
	if (pid == 0) {
		close_fd(&pair[0]);
		close_fd(&s->signals);
		supervise_give_signals_back();
		/* Keys on the console must not send signals to the agent. */
		if (s->spec->is_pid1)
			(void)setsid();
		_exit(s->spec->start(pair[1], s->spec->data));
	}
	close_fd(&pair[1]);
	if (pid < 0) {
		close_fd(&pair[0]);
		return error_sys(err, "failed to start the agent's process");
	}
	s->agent = pid;
	s->sock = pair[0];
	return 0;
}

/* Returns the timeout for poll(2) in milliseconds; -1 for none. */
static int
supervise_poll_timeout(struct supervisor *s)
{
	if (!s->farewell)
		return -1;
	if (!deadline_is_over(s->farewell))
		return deadline_left_ms(s->farewell);
	s->farewell = 0;
	log_warn("supervise", "timed out waiting for the agent to end, killed");
	if (s->agent > 0)
		(void)kill(s->agent, SIGKILL);
	return -1;
}

static void
supervise_on_signal(struct supervisor *s, int sig)
{
	/* supervise_reap() runs on every wake-up. */
	if (sig == SIGCHLD)
		return;
	if (!s->spec->is_pid1) {
		if (s->agent > 0)
			(void)kill(s->agent, SIGTERM);
		return;
	}
	if (sig != SIGINT && sig != SIGPWR) {
		log_info("supervise", "ignoring signal %d", sig);
		return;
	}
	if (s->is_done)
		return;
	s->is_done = true;
	s->result->cause = SUPERVISE_SIGNALLED;
	s->result->status = sig;
}

static void
supervise_wait_for_events(struct supervisor *s)
{
	bool has_lines = !log_flush();
	struct pollfd fds[3] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->sock,
		  .events = (short)(POLLIN | (s->has_unsent && !s->is_resting ? POLLOUT : 0)) },
		{ .fd = has_lines ? STDERR_FILENO : -1, .events = POLLOUT },
	};
	int timeout = supervise_poll_timeout(s);
	struct signalfd_siginfo info;

	if (s->is_resting && (timeout < 0 || timeout > REST_MS))
		timeout = REST_MS;
	if (poll(fds, ARRAY_LEN(fds), timeout) < 0)
		return;
	while (fds[0].revents && read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		supervise_on_signal(s, (int)info.ssi_signo);
	if (fds[1].revents & ~POLLOUT)
		supervise_drain(s);
	if (s->is_resting || fds[1].revents & POLLOUT)
		supervise_send_waiting(s);
}

static void
supervise_child_ended(struct supervisor *s, pid_t pid, int status)
{
	struct child_entry *e;

	if (pid == s->agent) {
		s->agent = 0;
		s->is_done = true;
		s->result->status = status;
		return;
	}
	e = children_find(&s->children, pid);
	if (!e || !(e->flags & CHILD_LIVE)) {
		s->result->strangers++;
		return;
	}
	e->flags = (uint16_t)((e->flags & ~CHILD_LIVE) | CHILD_UNSENT);
	e->status = status;
	(void)supervise_send_entry(s, e);
}

static void
supervise_reap(struct supervisor *s)
{
	for (;;) {
		siginfo_t info = { 0 };
		int status;

		/* Peek: find a process that has ended. */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 &&
		    errno == EINTR)
			continue;
		if (info.si_pid <= 0)
			return;
		/* Drain: if the process was registered, the message has been sent by now. */
		supervise_drain(s);
		/* Reap. */
		if (waitpid(info.si_pid, &status, WNOHANG | __WALL) != info.si_pid)
			return;
		supervise_child_ended(s, info.si_pid, status);
	}
}

/* Receives all pending messages. */
static void
supervise_drain(struct supervisor *s)
{
	struct initproto_msg msg;
	bool has_ended = false;

	while (s->sock >= 0) {
		/* Without room for control data the kernel drops fds that were sent along. */
		ssize_t n = recv(s->sock, &msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC);

		if (n == (ssize_t)sizeof(msg))
			supervise_message(s, &msg);
		else if (n < 0 && (errno == EINTR || errno == ECONNRESET))
			/* Its messages are still readable, although it has not read all of ours. */
			continue;
		else if (n < 0 && errno == EAGAIN)
			return;
		else if (n == 0 && !has_ended)
			/* Its last message may have arrived in the meantime: see recv_msg(). */
			has_ended = true;
		else if (n <= 0)
			/* The agent has closed its end. If it has died, SIGCHLD will follow. */
			close_fd(&s->sock);
		else
			log_debug("supervise", "ignoring message of invalid size %zd", n);
	}
}

static bool
supervise_is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 ||
	       errno != ECHILD;
}

static void
supervise_register_child(struct supervisor *s, pid_t pid)
{
	struct child_entry *e;

	if (pid <= 0 || pid == s->agent) {
		log_warn("supervise",
			 "ignoring the agent's registration of process %d: not a possible child",
			 (int)pid);
		return;
	}
	e = children_add(&s->children, pid);
	if (!e) {
		/* Its status could not be kept, so kill it and report it as gone. */
		log_error("supervise", "table of processes full, killed process %d", (int)pid);
		(void)kill(pid, SIGKILL);
		(void)supervise_send_to_agent(s, INITPROTO_GONE, pid, 0);
		return;
	}
	if (supervise_is_child(pid)) {
		e->flags |= CHILD_LIVE;
		return;
	}
	e->flags |= CHILD_GONE;
	(void)supervise_send_entry(s, e);
}

static void
supervise_status_taken(struct supervisor *s, pid_t pid)
{
	struct child_entry *e = children_find(&s->children, pid);

	if (!e)
		return;
	if (e->owed)
		e->owed--;
	else
		/* The agent no longer needs the status. */
		e->flags &= (uint16_t)~CHILD_LIVE;
	children_drop(&s->children, e);
}

static void
supervise_poweroff_asked(struct supervisor *s, int exit_code)
{
	if (s->is_asked)
		return;
	s->is_asked = true;
	s->result->cause = SUPERVISE_POWEROFF_ASKED;
	s->result->exit_code = exit_code;
	if (s->spec->is_pid1)
		s->is_done = true;
	else
		s->farewell = deadline_in(FAREWELL_MS);
}

static void
supervise_message(struct supervisor *s, const struct initproto_msg *msg)
{
	switch (msg->type) {
	case INITPROTO_REGISTER:
		supervise_register_child(s, msg->pid);
		break;
	case INITPROTO_TAKEN:
		supervise_status_taken(s, msg->pid);
		break;
	case INITPROTO_POWEROFF:
		supervise_poweroff_asked(s, msg->value);
		break;
	default:
		log_debug("supervise", "ignoring unknown message %u", (unsigned int)msg->type);
		break;
	}
}

static void
supervise_send_waiting(struct supervisor *s)
{
	struct child_entry *e;
	size_t pos = 0;

	s->has_unsent = s->is_resting = false;
	while ((e = children_next(&s->children, &pos, CHILD_UNSENT | CHILD_GONE))) {
		size_t used = s->children.used;

		if (!supervise_send_entry(s, e))
			return;
		/* Entries have moved. */
		if (s->children.used != used)
			pos = 0;
	}
}

/* Sends the pending messages of an entry, which may remove the entry. */
static bool
supervise_send_entry(struct supervisor *s, struct child_entry *e)
{
	if (e->flags & CHILD_UNSENT) {
		if (!supervise_send_to_agent(s, INITPROTO_EXIT, e->pid, e->status))
			return false;
		e->flags &= (uint16_t)~CHILD_UNSENT;
		if (s->sock >= 0)
			e->owed++;
	}
	if (e->flags & CHILD_GONE) {
		if (!supervise_send_to_agent(s, INITPROTO_GONE, e->pid, 0))
			return false;
		e->flags &= (uint16_t)~CHILD_GONE;
	}
	children_drop(&s->children, e);
	return true;
}

/* Sends a message. Returns false if it must be sent again later. */
static bool
supervise_send_to_agent(struct supervisor *s, uint32_t type, pid_t pid, int32_t value)
{
	struct initproto_msg msg = { .type = type, .pid = pid, .value = value };

	if (s->sock < 0 || send(s->sock, &msg, sizeof(msg), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return true;
	/* No agent is left to read it. */
	if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM)
		return true;
	s->has_unsent = true;
	s->is_resting = errno == ENOBUFS || errno == ENOMEM;
	return false;
}

void
supervise_describe(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		(void)snprintf(text, size, "was killed by signal %d (%s)%s", WTERMSIG(status),
			       strsignal(WTERMSIG(status)),
			       WCOREDUMP(status) ? ", core dumped" : "");
	else
		(void)snprintf(text, size, "exited with code %d", WEXITSTATUS(status));
}
