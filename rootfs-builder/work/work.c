/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/work/work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"

struct work {
	char *dir;
	pid_t guard;
	/* Messages to the guard: process groups, and GUARD_DONE. Closed when this process ends. */
	int guard_pipe;
	struct sigaction old[3];
};

/* A message to the guard: the directory has been removed. */
#define GUARD_DONE ((pid_t)-1)
/* Attempts of the guard to remove a directory in which dying processes still write. */
#define GUARD_ATTEMPTS 100
/* Interval of looking for children that have not ended. */
#define END_POLL_MS 5

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

/* The open directory. */
static struct work *current;
static volatile sig_atomic_t caught;
static int interrupt_fd = -1;

static int work_make_dir(struct work *work, const char *output, struct error *err);
static int work_start_guard(struct work *work, struct error *err);
static void work_run_guard(int in, const char *dir) __attribute__((noreturn));
static void work_catch_signals(struct work *work);
static void work_restore_signals(const struct work *work);
static int work_make_writable(int dirfd, const char *name, const struct stat *st, void *data,
			      struct error *err);
static int work_remove_as_root(const char *path);

struct work *
work_open(const char *output, struct error *err)
{
	struct work *work = calloc(1, sizeof(*work));

	if (!work) {
		error_nomem(err, "creating a work directory");
		return NULL;
	}
	work->guard_pipe = -1;
	if (interrupt_fd < 0)
		interrupt_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (interrupt_fd < 0) {
		error_sys(err, "failed to create an eventfd");
		free(work);
		return NULL;
	}
	/* Before there is a directory that a signal could leave behind. */
	work_catch_signals(work);
	if (work_make_dir(work, output, err) < 0 || work_start_guard(work, err) < 0) {
		if (work->dir)
			(void)rmdir(work->dir);
		work_restore_signals(work);
		free(work->dir);
		free(work);
		return NULL;
	}
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	current = work;
	return work;
}

static int
work_make_dir(struct work *work, const char *output, struct error *err)
{
	auto_free char *copy = strdup(output), *dir = NULL;
	size_t n = copy ? strlen(copy) : 0;
	char *slash;

	if (!copy) {
		error_nomem(err, "creating a work directory");
		return -1;
	}
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	slash = strrchr(copy, '/');
	if (slash)
		slash[slash == copy ? 1 : 0] = '\0';
	dir = realpath(slash ? copy : ".", NULL);
	if (!dir) {
		error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
			       "failed to find the directory of %s", output);
		return -1;
	}
	if (asprintf(&work->dir, "%s/.tatami-rootfs.XXXXXX", strcmp(dir, "/") ? dir : "") < 0) {
		work->dir = NULL;
		error_nomem(err, "creating a work directory");
		return -1;
	}
	if (!mkdtemp(work->dir)) {
		free(steal_ptr(&work->dir));
		error_sys_code(err, errno == EACCES ? ERROR_PERMISSION_DENIED : ERROR_INTERNAL,
			       "failed to create a directory in %s", dir);
		return -1;
	}
	return 0;
}

static int
work_start_guard(struct work *work, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, "failed to create a pipe");
	work->guard = fork();
	if (work->guard == 0)
		work_run_guard(ends[0], work->dir);
	(void)close(ends[0]);
	if (work->guard < 0) {
		(void)close(ends[1]);
		return error_sys(err, "failed to start a process");
	}
	work->guard_pipe = ends[1];
	return 0;
}

/* Waits until all of the other process is gone, whatever ended it. */
static void
work_run_guard(int in, const char *dir)
{
	pid_t message, group = 0;
	struct error ignored;
	int null;

	/* A signal from the terminal is for the build, which then says that it is done. */
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)signal(signals[i], SIG_IGN);
	(void)setsid();
	/* Standard output may be a pipe whose reader waits for its end. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		(void)dup2(null, fd);
	(void)close_all_but(&in, 1);
	while (read_full(in, &message, sizeof(message)) == (ssize_t)sizeof(message)) {
		if (message == GUARD_DONE)
			_exit(0);
		group = message;
	}
	for (int i = 0; i < GUARD_ATTEMPTS; i++) {
		if (group > 1)
			(void)kill(-group, SIGKILL);
		if (work_remove(dir, &ignored) == 0)
			break;
		(void)poll(NULL, 0, 50);
	}
	_exit(0);
}

static void
work_on_signal(int number)
{
	static const uint64_t one = 1;
	int saved = errno;
	ssize_t ignored;

	caught = number;
	/* Fails only if it is readable anyway. */
	ignored = write(interrupt_fd, &one, sizeof(one));
	(void)ignored;
	errno = saved;
}

static void
work_catch_signals(struct work *work)
{
	struct sigaction action = { .sa_handler = work_on_signal };

	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		(void)sigaction(signals[i], NULL, &work->old[i]);
		/* nohup(1) and shells without job control ignore signals on purpose. */
		if (work->old[i].sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
	}
}

static void
work_restore_signals(const struct work *work)
{
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &work->old[i], NULL);
}

void
work_close(struct work *work)
{
	static const pid_t done = GUARD_DONE;
	struct error err;

	if (!work)
		return;
	work_kill_children();
	if (work_remove(work->dir, &err) < 0)
		(void)fprintf(stderr, "failed to remove %s: %s\n", work->dir, err.msg);
	(void)write_full(work->guard_pipe, &done, sizeof(done));
	(void)close(work->guard_pipe);
	(void)RETRY_EINTR(waitpid(work->guard, NULL, 0));
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0);
	work_restore_signals(work);
	current = NULL;
	free(work->dir);
	free(work);
}

int
work_remove(const char *path, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct error ignored;
	int r;

	if (fd >= 0)
		(void)path_walk(fd, work_make_writable, NULL, &ignored);
	r = path_remove_tree(AT_FDCWD, path, err);
	if (r < 0 && (err->errnum == EACCES || err->errnum == EPERM))
		r = work_remove_as_root(path);
	return r;
}

/* Visits a directory before it is opened. */
static int
work_make_writable(int dirfd, const char *name, const struct stat *st, void *data,
		   struct error *err)
{
	(void)data;
	(void)err;
	if (S_ISDIR(st->st_mode) && (st->st_mode & 0700) != 0700)
		(void)fchmodat(dirfd, name, (st->st_mode & 07777) | 0700, 0);
	return 0;
}

/* Removes files of the user's subordinate ids, as a tool that was killed in its user namespace
 * leaves them behind. */
static int
work_remove_as_root(const char *path)
{
	const char *const argv[] = {
		"unshare", "--map-root-user", "--map-auto", "--", "rm", "-rf", "--", path, NULL
	};
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char **)argv, environ) != 0 ||
	    RETRY_EINTR(waitpid(pid, &status, 0)) < 0)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

const char *
work_dir(const struct work *work)
{
	return work->dir;
}

char *
work_path(const struct work *work, const char *name, struct error *err)
{
	char *path;

	if (asprintf(&path, "%s/%s", work->dir, name) < 0) {
		error_nomem(err, "building a path");
		return NULL;
	}
	return path;
}

int
work_signal(void)
{
	return caught;
}

bool
work_interrupted(void)
{
	return caught != 0;
}

int
work_check(struct error *err)
{
	return caught ? error_set(err, ERROR_ABORTED, "interrupted by %s", strsignal(caught)) : 0;
}

int
work_interrupt_fd(void)
{
	return current ? interrupt_fd : -1;
}

const char *
work_current_dir(void)
{
	return current ? current->dir : NULL;
}

void
work_guard_group(pid_t group)
{
	if (current)
		(void)write_full(current->guard_pipe, &group, sizeof(group));
}

/* Tells whether a list of numbers has this one. */
static bool
work_has_pid(const char *list, const char *pid)
{
	size_t len = strlen(pid);

	for (const char *at = list; (at = strstr(at, pid)); at += len) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	}
	return false;
}

void
work_end_children(pid_t leader, int ms)
{
	uint64_t end = deadline_in((uint64_t)ms);
	char path[64], list[4096], words[4096], asked[4096] = "", *rest, *word;
	bool any = true;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	while (any && !deadline_is_over(end)) {
		any = false;
		if (read_text_at(AT_FDCWD, path, list, sizeof(list)) < 0)
			return;
		memcpy(words, list, sizeof(words));
		rest = words;
		while ((word = strsep(&rest, " "))) {
			uint32_t pid;

			if (!parse_u32(word, &pid) || pid <= 1 || (pid_t)pid == leader ||
			    (current && (pid_t)pid == current->guard))
				continue;
			/* Once: a handler that is at work should not be interrupted. */
			if (!work_has_pid(asked, word))
				(void)kill((pid_t)pid, SIGTERM);
			any = waitpid((pid_t)pid, NULL, WNOHANG) == 0 || any;
		}
		memcpy(asked, list, sizeof(asked));
		if (any)
			(void)poll(NULL, 0, END_POLL_MS);
	}
}

void
work_kill_children(void)
{
	char path[64], list[4096], *rest, *word;
	bool again = true;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	while (again) {
		rest = list;
		again = false;
		if (read_text_at(AT_FDCWD, path, list, sizeof(list)) < 0)
			return;
		while ((word = strsep(&rest, " "))) {
			uint32_t pid;
			pid_t reaped;

			if (!parse_u32(word, &pid) || pid <= 1 ||
			    (current && (pid_t)pid == current->guard))
				continue;
			(void)kill((pid_t)pid, SIGKILL);
			/* Its children become ours only when it ends. */
			reaped = RETRY_EINTR(waitpid((pid_t)pid, NULL, 0));
			if (reaped > 0)
				again = true;
		}
	}
}
