/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_run(): a helper program as the worker's own child. Only these processes are reaped outside
 * of init. Worker only: blocks until the helper has ended.
 */
#include "agent/job/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/exec_error.h"
#include "lib/sys.h"

/* Reads of 4 KiB: more than a pipe holds. */
#define DRAINS_MAX 32

struct subprocess {
	pid_t pid;
	/* Readable when it has ended; its output may be held open by other processes. */
	int pidfd;
	/* Our end of its stdin, -1: closed. */
	int in;
	/* Our end of its stdout and stderr, -1: end of file. */
	int out;
	const char *input;
	size_t input_len;
	char *text;
	size_t text_size, text_len;
};

/* Takes from a helper that parses foreign data what it does not need. Returns 0, or -1 and
 * errno. */
static int
subprocess_confine(const struct subprocess_spec *spec)
{
	const struct sys_mount_attr protect = { .attr_set = MOUNT_ATTR_RDONLY,
						.propagation = MS_PRIVATE };
	const struct sys_mount_attr release = { .attr_clr = MOUNT_ATTR_RDONLY };

	if (unshare(CLONE_NEWNS) < 0 ||
	    sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &protect) < 0 ||
	    sys_mount_setattr(AT_FDCWD, spec->writable, 0, &release) < 0)
		return -1;
	for (int cap = 0; cap < 64; cap++)
		if (!(spec->capabilities >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Runs in the helper, up to execve(). The worker has one thread. */
_Noreturn static void
subprocess_exec(const struct subprocess_spec *spec, int in, int out)
{
	const char *path = spec->path ? spec->path : spec->argv[0];
	char reason[EXEC_ERROR_MAX];
	sigset_t none;
	int failed;

	/* It must not continue once the worker is gone and its steps are being undone. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpgid(0, 0);
	(void)signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, 0) < 0 || dup2(spec->stdout_fd > 0 ? spec->stdout_fd : out, 1) < 0 ||
	    dup2(out, 2) < 0)
		_exit(126);
	if (sys_close_range(3, ~0u, 0) < 0)
		_exit(126);
	if (spec->writable && subprocess_confine(spec) < 0) {
		failed = errno;
		exec_error_write(STDERR_FILENO, path, "failed to confine the program", failed);
		_exit(126);
	}
	(void)execve(path, (char *const *)spec->argv, (char *const *)spec->envp);
	failed = errno;
	exec_error_explain(path, failed, reason);
	exec_error_write(STDERR_FILENO, path, reason, failed);
	_exit(exec_error_code(failed));
}

static int
subprocess_start(struct subprocess *h, const struct subprocess_spec *spec, struct error *err)
{
	const char *const *argv = spec->argv;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	struct clone_args args = {
		.flags = CLONE_PIDFD | (spec->cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)&h->pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = spec->cgroup_fd >= 0 ? (uint64_t)spec->cgroup_fd : 0,
	};

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe for %s", argv[0]);
	if (pipe2(out, O_CLOEXEC) < 0) {
		error_sys(err, "failed to create a pipe for %s", argv[0]);
		goto fail;
	}
	h->pid = sys_clone3(&args);
	if (h->pid == 0)
		subprocess_exec(spec, in[0], out[1]);
	if (h->pid < 0) {
		error_sys_code(err, ERROR_RESOURCE_EXHAUSTED, "failed to start %s", argv[0]);
		goto fail;
	}
	(void)setpgid(h->pid, h->pid);
	close_fd(&in[0]);
	close_fd(&out[1]);
	h->in = in[1];
	h->out = out[0];
	(void)fcntl(h->in, F_SETFL, O_NONBLOCK);
	(void)fcntl(h->out, F_SETFL, O_NONBLOCK);
	return 0;
fail:
	close_fd(&in[0]);
	close_fd(&in[1]);
	close_fd(&out[0]);
	close_fd(&out[1]);
	return -1;
}

static void
subprocess_feed(struct subprocess *h)
{
	ssize_t n = write(h->in, h->input, h->input_len);

	if (n >= 0) {
		h->input += n;
		h->input_len -= (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		/* It does not read its stdin, which is not an error. */
		h->input_len = 0;
	}
	if (h->input_len == 0)
		close_fd(&h->in);
}

/* Keeps what fits and drops the rest, so that the helper never blocks on its output. Returns false
 * if nothing is left for now. */
static bool
subprocess_collect(struct subprocess *h)
{
	char chunk[4096];
	size_t room = h->text_size - h->text_len;
	ssize_t n = read(h->out, chunk, sizeof(chunk));

	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		close_fd(&h->out);
		return false;
	}
	if ((size_t)n < room)
		room = (size_t)n;
	memcpy(h->text + h->text_len, chunk, room);
	h->text_len += room;
	return true;
}

/* Moves data until the helper has ended. Returns false if it timed out. */
static bool
subprocess_transfer(struct subprocess *h, int timeout_ms)
{
	uint64_t end = deadline_of_timeout(timeout_ms);

	for (;;) {
		struct pollfd fds[3] = {
			{ .fd = h->pidfd, .events = POLLIN },
			{ .fd = h->out, .events = POLLIN },
			{ .fd = h->in, .events = POLLOUT },
		};
		int left = deadline_left_ms(end);

		if (left == 0)
			return false;
		if (poll(fds, ARRAY_LEN(fds), left) < 0 && errno != EINTR)
			return false;
		if (h->in >= 0 && fds[2].revents)
			subprocess_feed(h);
		if (h->out >= 0 && fds[1].revents)
			(void)subprocess_collect(h);
		if (fds[0].revents) {
			/* Only the present output: other writers may never stop. */
			for (int i = 0; i < DRAINS_MAX && h->out >= 0 && subprocess_collect(h); i++)
				continue;
			return true;
		}
	}
}

int
subprocess_run(const struct subprocess_spec *spec, int *status, struct error *err)
{
	char none[1];
	struct subprocess h = {
		.pidfd = -1,
		.in = -1,
		.out = -1,
		.input = spec->input ? spec->input : "",
		.input_len = spec->input ? strlen(spec->input) : 0,
		.text = spec->out_size ? spec->out : none,
		.text_size = spec->out_size ? spec->out_size - 1 : 0,
	};
	struct sigaction ignored = { .sa_handler = SIG_IGN }, former;
	bool in_time;

	if (spec->out_size)
		spec->out[0] = '\0';
	if (subprocess_start(&h, spec, err) < 0)
		return -1;
	if (h.input_len == 0)
		close_fd(&h.in);
	/* The caller may be the process that runs a startContainer hook, where signals have their
	 * default actions again: a hook that closes its stdin must not end it. */
	(void)sigaction(SIGPIPE, &ignored, &former);
	in_time = subprocess_transfer(&h, spec->timeout_ms);
	(void)sigaction(SIGPIPE, &former, NULL);
	/* Also kills what it left running in its group. */
	(void)kill(-h.pid, SIGKILL);
	while (waitpid(h.pid, status, 0) < 0 && errno == EINTR)
		continue;
	if (spec->out_size)
		spec->out[h.text_len] = '\0';
	close_fd(&h.in);
	close_fd(&h.out);
	close_fd(&h.pidfd);
	if (!in_time)
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "%s timed out after %d ms",
				 spec->path ? spec->path : spec->argv[0], spec->timeout_ms);
	return 0;
}

int
worker_run(struct worker *w, const char *const argv[], const char *const envp[], const char *input,
	   char *out, size_t out_size, int timeout_ms, int *status, struct error *err)
{
	const struct subprocess_spec spec = {
		.argv = argv,
		.envp = envp,
		.input = input,
		.out = out,
		.out_size = out_size,
		.timeout_ms = timeout_ms,
		.cgroup_fd = -1,
	};

	(void)w;
	return subprocess_run(&spec, status, err);
}
