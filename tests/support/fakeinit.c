/* SPDX-License-Identifier: Apache-2.0 */
/* Waits with pidfds, so that the process of the test needs no signal handling. */
#include "tests/support/fakeinit.h"
#include "tests/support/orphan.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/initproto.h"
#include "lib/io.h"
#include "lib/sys.h"

#define TRACKED_MAX 512
/* only against hangs: less than tests/run gives a program */
#define LIMIT_MS 200000
/* A process that was killed, or has its last message, still takes its time on a busy machine.
 * One that is left behind never ends. */
#define SWEEP_MS 30000

struct fakeinit {
	int sock;
	bool is_silent;
	pid_t agent;
	/* [0] is the socket, [1] the agent, followed by registered processes. */
	struct pollfd fds[TRACKED_MAX];
	pid_t pids[TRACKED_MAX];
	nfds_t n;
};

static void
tell(struct fakeinit *f, enum initproto_type type, pid_t pid, int value)
{
	struct initproto_msg msg = { .type = type, .pid = pid, .value = value };

	if (f->is_silent)
		return;
	(void)send_msg(f->sock, &msg, sizeof(msg), NULL, 0, MSG_DONTWAIT);
}

static void
take_registration(struct fakeinit *f)
{
	struct initproto_msg msg;
	int fds[IO_FDS_MAX];
	size_t n_fds;

	while (recv_msg(f->sock, &msg, sizeof(msg), fds, &n_fds, MSG_DONTWAIT) == sizeof(msg)) {
		int pidfd;

		if (msg.type != INITPROTO_REGISTER)
			continue;
		pidfd = f->n < TRACKED_MAX ? sys_pidfd_open(msg.pid, 0) : -1;
		if (pidfd < 0) {
			tell(f, INITPROTO_GONE, msg.pid, 0);
			continue;
		}
		f->fds[f->n] = (struct pollfd){ .fd = pidfd, .events = POLLIN };
		f->pids[f->n++] = msg.pid;
	}
}

static void
reap(struct fakeinit *f, nfds_t i)
{
	int status = 0;

	if (waitpid(f->pids[i], &status, 0) == f->pids[i])
		tell(f, INITPROTO_EXIT, f->pids[i], status);
	else
		tell(f, INITPROTO_GONE, f->pids[i], 0);
	(void)close(f->fds[i].fd);
	f->fds[i] = f->fds[--f->n];
	f->pids[i] = f->pids[f->n];
}

/* Waits until the agent has ended. Returns false on timeout. */
static bool
serve(struct fakeinit *f)
{
	uint64_t end = deadline_in(LIMIT_MS);

	while (!deadline_is_over(end)) {
		if (poll(f->fds, f->n, 1000) <= 0)
			continue;
		if (f->fds[0].revents)
			take_registration(f);
		if (f->fds[0].revents & POLLHUP)
			f->fds[0].events = 0, f->fds[0].fd = -1;
		for (nfds_t i = f->n; i-- > 2;) {
			if (f->fds[i].revents & POLLIN)
				reap(f, i);
		}
		if (f->fds[1].revents & POLLIN)
			return true;
	}
	return false;
}

/* Reaps processes that outlived the agent, after killing them if they have not ended after `ms`.
 * Returns the number of those. */
static int
sweep(struct fakeinit *f, uint64_t ms)
{
	uint64_t end = deadline_in(ms);
	int leaked = 0;

	for (nfds_t i = 2; i < f->n; i++) {
		struct pollfd ended = { .fd = f->fds[i].fd, .events = POLLIN };

		if (poll(&ended, 1, deadline_left_ms(end)) <= 0) {
			leaked++;
			(void)kill(f->pids[i], SIGKILL);
		}
		(void)waitpid(f->pids[i], NULL, 0);
		(void)close(f->fds[i].fd);
	}
	return leaked;
}

static int
run(fakeinit_body *body, void *data, bool is_silent, int *leaked)
{
	struct fakeinit f = { .n = 2, .is_silent = is_silent };
	int pair[2], status = 0, left;
	pid_t test = getpid();
	bool in_time;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	f.agent = fork();
	if (f.agent == 0) {
		die_with_parent(test);
		(void)close(pair[0]);
		_exit(body(pair[1], data));
	}
	(void)close(pair[1]);
	f.sock = pair[0];
	f.fds[0] = (struct pollfd){ .fd = f.sock, .events = POLLIN };
	f.fds[1] = (struct pollfd){ .fd = sys_pidfd_open(f.agent, 0), .events = POLLIN };
	in_time = serve(&f);
	if (!in_time)
		(void)kill(f.agent, SIGKILL);
	(void)waitpid(f.agent, &status, 0);
	left = sweep(&f, leaked ? SWEEP_MS : 0);
	if (leaked)
		*leaked = left;
	(void)close(f.fds[1].fd);
	(void)close(f.sock);
	if (!in_time)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int
fakeinit_run(fakeinit_body *body, void *data, int *leaked)
{
	return run(body, data, false, leaked);
}

int
fakeinit_run_silent(fakeinit_body *body, void *data)
{
	return run(body, data, true, NULL);
}
