/* SPDX-License-Identifier: Apache-2.0 */
/* The shell of a debug console: its terminal, its process, its program. Runs in a worker, and in
 * the shell's process up to execve. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/console/console_internal.h"
#include "lib/cleanup.h"
#include "lib/exec_error.h"
#include "lib/io.h"
#include "lib/sys.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

/* The first one that exists is used, with its name as argv[0]. */
static const struct {
	const char *path, *name;
} shells[] = {
	{ "/run/kata-extensions/devkit/bin/devkit-sh", "devkit-sh" },
	{ "/bin/bash", "bash" },
	{ "/bin/sh", "sh" },
};

#define ENVIRONMENT_MAX 32
/* The agent's own variables are passed on, so that `tatami --print-config` in the shell prints the
 * same. */
#define AGENTS_OWN "KATA_AGENT_"

static const char *const environment[] = {
	"TERM=xterm",
	"HOME=/",
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"PS1=guest:\\w# ",
};

struct shell {
	const struct roots *roots;
	/* index in shells */
	size_t which;
	int slave, gate;
};

static int shell_find(const struct roots *roots, size_t *which, struct error *err);
static int shell_open_terminal(const struct roots *roots, int *slave, struct error *err);
_Noreturn static void shell_exec(const struct shell *shell);
static int shell_release(struct worker *w, pid_t pid, int pidfd, int master, int gate,
			 struct error *err);

int
shell_work(struct worker *w, void *arg, struct error *err)
{
	struct shell shell = { .roots = arg };
	auto_close int master = -1;
	auto_close int slave = -1;
	auto_close int gate = -1;
	auto_close int pidfd = -1;
	struct clone_args args = {
		/* with CLONE_PARENT the exit signal must be 0 (clone(2)) */
		.flags = CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
	};
	int ends[2];
	pid_t pid;

	if (shell_find(shell.roots, &shell.which, err) < 0)
		return -1;
	master = shell_open_terminal(shell.roots, &slave, err);
	if (master < 0)
		return -1;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe");
	shell.slave = slave;
	shell.gate = ends[0];
	gate = ends[1];
	pid = sys_clone3(&args);
	if (pid == 0) {
		(void)close(gate);
		(void)close(worker_fd(w));
		shell_exec(&shell);
	}
	(void)close(ends[0]);
	if (pid < 0)
		return error_sys(err, "failed to fork the shell");
	return shell_release(w, pid, pidfd, master, gate, err);
}

static int
shell_find(const struct roots *roots, size_t *which, struct error *err)
{
	for (*which = 0; *which < ARRAY_LEN(shells); ++*which) {
		if (faccessat(roots->root, shells[*which].path + 1, X_OK, 0) == 0)
			return 0;
	}
	return error_set(err, ERROR_NOT_FOUND, "no shell found in the guest (tried %s, %s)",
			 shells[1].path, shells[2].path);
}

static int
shell_open_terminal(const struct roots *roots, int *slave, struct error *err)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 80 };
	auto_close int master = openat(roots->dev, "pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return error_sys(err, "failed to create a terminal");
	*slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*slave < 0)
		return error_sys(err, "failed to open the terminal's slave side");
	(void)ioctl(master, TIOCSWINSZ, &size);
	return steal_fd(&master);
}

static void
shell_make_environment(const char *out[ENVIRONMENT_MAX])
{
	size_t n = 0;

	for (; n < ARRAY_LEN(environment); n++)
		out[n] = environment[n];
	for (char **e = environ; *e && n + 1 < ENVIRONMENT_MAX; e++) {
		if (strncmp(*e, AGENTS_OWN, strlen(AGENTS_OWN)) == 0)
			out[n++] = *e;
	}
	out[n] = NULL;
}

/* Runs in the shell's process: waits until it is registered with init, or exits if the gate is
 * closed before. */
_Noreturn static void
shell_exec(const struct shell *shell)
{
	const char *argv[] = { shells[shell->which].name, NULL };
	const char *env[ENVIRONMENT_MAX];
	char byte, reason[EXEC_ERROR_MAX];
	int failed;

	shell_make_environment(env);
	if (read_full(shell->gate, &byte, 1) != 1)
		_exit(1);
	(void)write_text_at(shell->roots->proc, "self/oom_score_adj", "0");
	(void)signal(SIGPIPE, SIG_DFL);
	if (setsid() < 0 || ioctl(shell->slave, TIOCSCTTY, 0) < 0)
		_exit(1);
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (dup2(shell->slave, fd) < 0)
			_exit(1);
	}
	if (fchdir(shell->roots->root) < 0 || sys_close_range(3, ~0u, 0) < 0)
		_exit(1);
	(void)execve(shells[shell->which].path, (char *const *)(uintptr_t)argv,
		     (char *const *)(uintptr_t)env);
	failed = errno;
	exec_error_explain(shells[shell->which].path, failed, reason);
	exec_error_write(STDERR_FILENO, shells[shell->which].path, reason, failed);
	_exit(exec_error_code(failed));
}

/* Registers the process with init, hands the terminal over to the agent, and then opens the
 * gate. */
static int
shell_release(struct worker *w, pid_t pid, int pidfd, int master, int gate, struct error *err)
{
	if (worker_process(w, pid, pidfd, err) < 0 ||
	    worker_send(w, SHELL_MSG_TTY, NULL, 0, &master, 1, true, err) < 0)
		return -1;
	return write_full(gate, "", 1) < 0 ? error_sys(err, "failed to open the shell's gate") : 0;
}
