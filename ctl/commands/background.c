/* SPDX-License-Identifier: Apache-2.0 */
/* Monitor process of a VM in the background. */
#include "ctl/commands/background.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl/commands/commands.h"
#include "ctl/commands/single.h"
#include "ctl/vm/spawn.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"

/* Time for ending a VM that is booting, before it is killed. */
#define INTERRUPTED_MS 15000
/* For state.json and status.json. */
#define RESERVED (64u << 10)

static void background_signals(sigset_t *set);
static int background_wait(pid_t pid, const char *dir, int report, int signals,
			   struct error *reported, struct error *err);
static int background_monitor(const struct background *b, const char *dir, pid_t parent, int tell);
static void background_reserve(const char *dir, bool take);
static int background_register(const struct background *b, struct vm_state *state, int *lock,
			       int *end, struct error *err);

int
background_start(const struct background *b, const char *dir, struct error *err)
{
	struct error reported = ERROR_INIT;
	auto_close int signals = -1;
	int pipe_fds[2];
	pid_t parent = getpid(), pid;
	sigset_t set, saved;
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	/* The monitor starts with these signals blocked. */
	background_signals(&set);
	(void)sigprocmask(SIG_BLOCK, &set, &saved);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe");
	pid = fork();
	if (pid == 0) {
		(void)close(pipe_fds[0]);
		(void)close(signals);
		_exit(background_monitor(b, dir, parent, pipe_fds[1]));
	}
	(void)close(pipe_fds[1]);
	r = pid < 0 ? error_sys(err, "failed to start the monitor process")
		    : background_wait(pid, dir, pipe_fds[0], signals, &reported, err);
	(void)close(pipe_fds[0]);
	(void)sigprocmask(SIG_SETMASK, &saved, NULL);
	if (r == 0 && reported.code != ERROR_OK) {
		*err = reported;
		return -1;
	}
	return r;
}

static void
background_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	(void)sigaddset(set, SIGINT);
	(void)sigaddset(set, SIGTERM);
	(void)sigaddset(set, SIGHUP);
	(void)sigaddset(set, SIGQUIT);
}

/* Waits for the monitor's report. The first signal asks the monitor to end the VM; it is killed
 * at the second, or when it takes too long, and the kernel kills its children with it. */
static int
background_wait(pid_t pid, const char *dir, int report, int signals, struct error *reported,
		struct error *err)
{
	struct pollfd p[] = { { .fd = report, .events = POLLIN },
			      { .fd = signals, .events = POLLIN } };
	struct error ignored = ERROR_INIT;
	uint64_t kill_at = DEADLINE_NEVER;
	struct signalfd_siginfo info;
	bool was_killed = false;
	int status;

	for (;;) {
		(void)poll(p, ARRAY_LEN(p), deadline_left_ms(kill_at));
		if (p[0].revents)
			break;
		if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
		    kill_at == DEADLINE_NEVER) {
			(void)kill(pid, SIGTERM);
			kill_at = deadline_in(INTERRUPTED_MS);
		} else if (p[1].revents || deadline_is_over(kill_at)) {
			was_killed = true;
			(void)kill(pid, SIGKILL);
			kill_at = DEADLINE_NEVER - 1;
		}
	}
	if (read_full(report, reported, sizeof(*reported)) == (ssize_t)sizeof(*reported) &&
	    kill_at == DEADLINE_NEVER)
		return 0;
	if (kill_at == DEADLINE_NEVER) {
		(void)waitpid(pid, &status, 0);
		return error_set(err, ERROR_INTERNAL,
				 "the monitor process exited before the VM was up");
	}
	/* The VM may have come up just now. */
	if (!was_killed && reported->code == ERROR_OK) {
		(void)kill(pid, SIGALRM);
		if (!wait_for(pid, INTERRUPTED_MS, &status)) {
			was_killed = true;
			(void)kill(pid, SIGKILL);
		}
	}
	(void)waitpid(pid, &status, 0);
	if (was_killed || reported->code == ERROR_OK)
		(void)path_remove_tree(AT_FDCWD, dir, &ignored);
	return error_set(err, ERROR_CANCELLED, "interrupted while the VM was booting");
}

/* Boots the VM, reports the result to the parent through `tell`, and monitors the VM. */
static int
background_monitor(const struct background *b, const char *dir, pid_t parent, int tell)
{
	struct error err = ERROR_INIT;
	struct vm_state state;
	auto_close int lock = -1;
	auto_close int end = -1;
	auto_close int stop = -1;
	sigset_t set;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool is_up = false;

	/* `stop` sends SIGALRM: other signals are forwarded to the container, as in `run`. */
	single_vm_block_signals();
	/* A limit on the size of files ends no VM: what cannot be logged is lost. */
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setsid();
	/* Nobody would know of a VM whose `boot` was killed. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
		return EXIT_FAILED;
	if (null < 0)
		error_sys(&err, "failed to open /dev/null");
	else
		is_up = b->start(b->self, dir, &err) == 0;
	if (is_up && background_register(b, &state, &lock, &end, &err) < 0) {
		struct error ignored = ERROR_INIT;

		b->stop(b->self);
		(void)path_remove_tree(AT_FDCWD, dir, &ignored);
	}
	(void)prctl(PR_SET_PDEATHSIG, 0);
	if (write_full(tell, &err, sizeof(err)) < 0 && err.code == ERROR_OK) {
		b->stop(b->self);
		(void)path_remove_tree(AT_FDCWD, dir, &err);
		return EXIT_FAILED;
	}
	(void)close(tell);
	if (err.code != ERROR_OK)
		return EXIT_FAILED;
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGALRM);
	stop = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	b->look_after(b->self, stop);
	background_reserve(state.dir, false);
	if (b->finish)
		b->finish(b->self, &state);
	else
		background_finish(b->vm(b->self), &state);
	b->stop(b->self);
	state.finished = time(NULL);
	state_end_note(end, state.exit_code);
	if (b->removes)
		(void)path_remove_tree(AT_FDCWD, state.dir, &err);
	else
		(void)state_write(&state, &err);
	return 0;
}

/* Takes room for the last record of the VM, or gives it back: its exit code is to be known also if
 * the file system is full by then. */
static void
background_reserve(const char *dir, bool take)
{
	char path[PATH_MAX + 32];
	auto_close int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/.reserve", dir);
	if (!take) {
		(void)unlink(path);
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)posix_fallocate(fd, 0, RESERVED);
}

/* Registers the VM for ps, exec and stop. *lock is held for the monitor's lifetime. */
static int
background_register(const struct background *b, struct vm_state *state, int *lock, int *end,
		    struct error *err)
{
	struct vm *vm = b->vm(b->self);

	*state = (struct vm_state){ .monitor = getpid(), .started = time(NULL) };
	(void)snprintf(state->dir, sizeof(state->dir), "%s", vm->dir);
	(void)snprintf(state->address, sizeof(state->address), "%s", vm->address);
	(void)snprintf(state->accel, sizeof(state->accel), "%s", vm->accel.name);
	(void)snprintf(state->accel_why, sizeof(state->accel_why), "%s", vm->accel.why);
	state->kvm_was_tried = vm->accel.was_tried;
	b->describe(b->self, state);
	*lock = open(vm->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*lock < 0 || flock(*lock, LOCK_EX | LOCK_NB) < 0)
		return error_sys(err, "failed to lock %s", vm->dir);
	background_reserve(vm->dir, true);
	*end = state_end_create(state);
	if (*end < 0)
		return error_sys(err, "failed to create a file in %s", vm->dir);
	return state_write(state, err);
}

void
background_finish(struct vm *vm, struct vm_state *state)
{
	json_t *status = state_read_status(state->dir), *c;
	char why[400];
	int code = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "containers"), i, c) code =
		code ? code : (int)json_integer_value(json_object_get(c, "exitCode"));
	json_decref(status);
	if (vm_has_failed(vm, why, sizeof(why))) {
		(void)snprintf(state->error, sizeof(state->error), "the VM has ended: %s", why);
		code = code ? code : 255;
	}
	state->exit_code = code;
}
