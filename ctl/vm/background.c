/* SPDX-License-Identifier: Apache-2.0 */
/* Monitor process of a VM in the background. */
#include "ctl/vm/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/single.h"
#include "lib/cleanup.h"
#include "lib/io.h"

static int background_monitor(const struct background *b, const char *dir, int tell);
static int background_register(const struct background *b, int *lock, struct error *err);

int
background_start(const struct background *b, const char *dir, struct error *err)
{
	int pipe_fds[2];
	struct error reported = ERROR_INIT;
	ssize_t n;
	pid_t pid;

	(void)signal(SIGPIPE, SIG_IGN);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe");
	pid = fork();
	if (pid == 0) {
		(void)close(pipe_fds[0]);
		_exit(background_monitor(b, dir, pipe_fds[1]));
	}
	(void)close(pipe_fds[1]);
	n = pid < 0 ? -1 : read_full(pipe_fds[0], &reported, sizeof(reported));
	(void)close(pipe_fds[0]);
	if (n != (ssize_t)sizeof(reported))
		return error_set(err, ERROR_INTERNAL,
				 "the monitor process exited before the VM was up");
	if (reported.code != ERROR_OK) {
		*err = reported;
		return -1;
	}
	return 0;
}

/* Boots the VM, reports the result to the parent through `tell`, and monitors the VM. */
static int
background_monitor(const struct background *b, const char *dir, int tell)
{
	struct error err = ERROR_INIT;
	auto_close int lock = -1;
	auto_close int stop = -1;
	sigset_t set;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool is_up = false;

	/* `stop` sends SIGALRM: other signals are forwarded to the container, as in `run`. */
	single_vm_block_signals();
	(void)setsid();
	if (null < 0)
		error_sys(&err, "failed to open /dev/null");
	else
		is_up = b->start(b->self, dir, &err) == 0;
	if (is_up && background_register(b, &lock, &err) < 0)
		b->stop(b->self);
	(void)write_full(tell, &err, sizeof(err));
	(void)close(tell);
	if (err.code != ERROR_OK)
		return EXIT_FAILED;
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	stop = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	b->look_after(b->self, stop);
	b->stop(b->self);
	return 0;
}

/* Registers the VM for ps, exec and stop. *lock is held for the monitor's lifetime. */
static int
background_register(const struct background *b, int *lock, struct error *err)
{
	const struct vm *vm = b->vm(b->self);
	struct vm_state state = { .monitor = getpid(), .started = time(NULL) };

	(void)snprintf(state.dir, sizeof(state.dir), "%s", vm->dir);
	(void)snprintf(state.address, sizeof(state.address), "%s", vm->address);
	b->describe(b->self, &state);
	*lock = open(vm->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) < 0)
		return error_sys(err, "failed to lock %s", vm->dir);
	return state_write(&state, err);
}
