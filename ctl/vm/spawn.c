/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs on the host. */
#include "ctl/vm/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"

static void spawn_run(const struct argv *a, int log_fd, pid_t parent, int pass_fd);

void
argv_add(struct argv *a, const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;

	if (a->n == ARGV_MAX) {
		a->failed = true;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	if (s)
		a->items[a->n++] = s;
	else
		a->failed = true;
}

void
argv_release(struct argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->items[i]);
	*a = (struct argv){ 0 };
}

void
argv_write(const struct argv *a, int fd)
{
	for (size_t i = 0; i < a->n; i++) {
		const char *s = a->items[i];
		size_t plain = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789%+,-./:=@_");

		(void)dprintf(fd, "%s", i ? " " : "");
		if (s[0] && !s[plain]) {
			(void)dprintf(fd, "%s", s);
			continue;
		}
		(void)dprintf(fd, "'");
		for (; *s; s += strcspn(s, "'")) {
			if (*s == '\'') {
				(void)dprintf(fd, "'\\''");
				s++;
			}
			(void)dprintf(fd, "%.*s", (int)strcspn(s, "'"), s);
		}
		(void)dprintf(fd, "'");
	}
	(void)dprintf(fd, "\n");
}

pid_t
spawn(const struct argv *a, int log_fd, int pass_fd, struct error *err)
{
	pid_t parent = getpid(), pid;

	if (a->failed || a->n == 0)
		return error_nomem(err, "building the arguments of a program");
	pid = fork();
	if (pid < 0)
		return error_sys(err, "failed to start %s", a->items[0]);
	if (pid == 0)
		spawn_run(a, log_fd, parent, pass_fd);
	return pid;
}

/* Runs the program in the child; does not return. */
static void
spawn_run(const struct argv *a, int log_fd, pid_t parent, int pass_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(127);
	/* A process group of its own, so that ^C reaches only the container. */
	(void)setpgid(0, 0);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(127);
	if (log_fd >= 0 && (dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0))
		_exit(127);
	if (pass_fd >= 0)
		(void)fcntl(pass_fd, F_SETFD, 0);
	(void)close_all_but(&pass_fd, 1);
	(void)execv(a->items[0], a->items);
	dprintf(STDERR_FILENO, "failed to run %s: %s\n", a->items[0], strerror(errno));
	_exit(127);
}

bool
wait_for(pid_t pid, int timeout_ms, int *status)
{
	struct pollfd p = { .events = POLLIN };
	auto_close int fd = sys_pidfd_open(pid, 0);

	if (waitpid(pid, status, WNOHANG) == pid)
		return true;
	p.fd = fd;
	if (fd < 0 || poll(&p, 1, timeout_ms) <= 0)
		return waitpid(pid, status, WNOHANG) == pid;
	return waitpid(pid, status, 0) == pid;
}

int
spawn_read(const struct argv *a, int timeout_ms, char *out, size_t size, struct error *err)
{
	auto_close int said = memfd_create("said", MFD_CLOEXEC);
	int status = 0;
	ssize_t n;
	pid_t pid;

	out[0] = '\0';
	if (said < 0)
		return error_sys(err, "failed to make a file for the output of a program");
	pid = spawn(a, said, -1, err);
	if (pid < 0)
		return -1;
	if (!wait_for(pid, timeout_ms, &status)) {
		(void)kill(-pid, SIGKILL);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, 0);
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "%s did not end within %d ms",
				 a->items[0], timeout_ms);
	}
	n = pread(said, out, size - 1, 0);
	out[n > 0 ? n : 0] = '\0';
	return status;
}

void
spawn_end_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGHUP);
	(void)sigaddset(set, SIGQUIT);
	(void)sigaddset(set, SIGALRM);
}
