/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   spawn -> follow: poll stderr, stdout, the process, the interruption
 *                 interrupted: SIGTERM to the group, SIGKILL after GRACE_MS
 *         -> settle: kill the rest of the group, reap orphans, drain the pipes
 */
#include "rootfs-builder/work/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "rootfs-builder/work/work.h"

/* Time for a tool to remove its own temporary files after an interruption. */
#define GRACE_MS 10000
/* Descendants that outlive their program have so long after SIGTERM. */
#define SETTLE_MS 2000
/* Part of standard error that is kept for the error message. */
#define TAIL_MAX      ((size_t)300)
#define LINE_LEN_MAX  ((size_t)1000)
#define VARIABLES_MAX 64

/* The environment of a tool. */
struct variables {
	char *items[VARIABLES_MAX + 1];
	size_t n;
	bool failed;
};

/* One run. */
struct run {
	const struct tool *tool;
	pid_t pid;
	int pidfd;
	/* Our ends of the pipes, -1 once they have ended. */
	int err, out;
	/* Standard output, if it is wanted. */
	struct buf *stored;
	bool stored_too_much;
	char line[LINE_LEN_MAX + 1];
	size_t line_len;
	/* The last lines, each with a newline. */
	char tail[TAIL_MAX + 1];
	size_t tail_len;
	bool terminated;
	uint64_t kill_at;
};

static char *tool_find(const char *program, struct error *err, const char *package);
static int tool_spawn(struct run *run, const char *path, struct error *err);
static void tool_make_variables(const struct tool *tool, struct variables *v);
static void tool_follow(struct run *run);
static void tool_drain(struct run *run, int *fd, bool is_error);
static void tool_take_line(struct run *run);
static int tool_result(struct run *run, int status, struct error *err);
static int tool_run_with(const struct tool *tool, struct buf *stored, struct error *err);

int
tool_need(const char *program, const char *package, struct error *err)
{
	auto_free char *path = tool_find(program, err, package);

	return path ? 0 : -1;
}

/* Returns the path of a program in PATH or the directories of administrators, which an ordinary
 * user's PATH lacks. */
static char *
tool_find(const char *program, struct error *err, const char *package)
{
	const char *own = getenv("PATH");
	auto_free char *dirs = NULL;
	char *rest, *dir, *path;

	if (strchr(program, '/')) {
		path = strdup(program);
		if (path && access(path, X_OK) == 0)
			return path;
		free(path);
		error_sys_code(err, ERROR_UNAVAILABLE, "failed to run %s", program);
		return NULL;
	}
	if (asprintf(&dirs, "%s:/usr/sbin:/usr/bin:/sbin:/bin", own ? own : "") < 0) {
		dirs = NULL;
		error_nomem(err, "looking for a program");
		return NULL;
	}
	rest = dirs;
	while ((dir = strsep(&rest, ":"))) {
		struct stat st;

		if (!*dir)
			continue;
		if (asprintf(&path, "%s/%s", dir, program) < 0) {
			error_nomem(err, "looking for a program");
			return NULL;
		}
		if (access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			return path;
		free(path);
	}
	error_set(err, ERROR_UNAVAILABLE, "program %s not found: install the package %s", program,
		  package ? package : program);
	return NULL;
}

int
tool_run(const struct tool *tool, struct error *err)
{
	return tool_run_with(tool, NULL, err);
}

int
tool_read(const struct tool *tool, size_t max, char **out, size_t *len, struct error *err)
{
	struct buf stored;
	char *text;

	buf_init(&stored, max);
	if (tool_run_with(tool, &stored, err) < 0) {
		buf_release(&stored);
		return -1;
	}
	text = malloc(buf_len(&stored) + 1);
	if (text) {
		if (buf_len(&stored))
			memcpy(text, buf_head(&stored), buf_len(&stored));
		text[buf_len(&stored)] = '\0';
		*out = text;
		if (len)
			*len = buf_len(&stored);
	}
	buf_release(&stored);
	return text ? 0 : error_nomem(err, "reading the output of a program");
}

char *
tool_version(const char *const *argv)
{
	/* Programs disagree on where they print it. */
	static const char *const script = "exec \"$@\" 2>&1";
	const char *shell[20] = { "sh", "-c", script, "sh" };
	const struct tool tool = { .argv = shell };
	struct error ignored;
	char *text = NULL;

	for (size_t i = 0; argv[i] && i + 5 < ARRAY_LEN(shell); i++)
		shell[i + 4] = argv[i];
	if (tool_read(&tool, 64 << 10, &text, NULL, &ignored) < 0 || !text)
		return NULL;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static int
tool_run_with(const struct tool *tool, struct buf *stored, struct error *err)
{
	struct run run = { .tool = tool, .stored = stored, .pidfd = -1, .err = -1, .out = -1 };
	auto_free char *path = tool_find(tool->argv[0], err, tool->package);
	int status = 0;

	if (!path || work_check(err) < 0)
		return -1;
	if (tool_spawn(&run, path, err) < 0) {
		close_fd(&run.err);
		close_fd(&run.out);
		return -1;
	}
	work_guard_group(run.pid);
	tool_follow(&run);
	/* The group still has this number, since its leader has not been reaped. */
	if (work_current_dir())
		work_end_children(run.pid, SETTLE_MS);
	(void)kill(-run.pid, SIGKILL);
	(void)RETRY_EINTR(waitpid(run.pid, &status, 0));
	work_guard_group(0);
	if (work_current_dir())
		work_kill_children();
	tool_drain(&run, &run.err, true);
	tool_drain(&run, &run.out, false);
	tool_take_line(&run);
	close_fd(&run.err);
	close_fd(&run.out);
	close_fd(&run.pidfd);
	return tool_result(&run, status, err);
}

static int
tool_spawn(struct run *run, const char *path, struct error *err)
{
	const struct tool *tool = run->tool;
	int err_pipe[2] = { -1, -1 }, out_pipe[2] = { -1, -1 }, r = 0;
	struct variables v = { .n = 0 };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t signals;
	mode_t mask;

	if (pipe2(err_pipe, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    (run->stored && pipe2(out_pipe, O_CLOEXEC | O_NONBLOCK) < 0)) {
		close_fds(err_pipe, 2);
		return error_sys(err, "failed to create a pipe");
	}
	run->err = err_pipe[0];
	run->out = out_pipe[0];
	/* The tool's own ends block. */
	(void)fcntl(err_pipe[1], F_SETFL, 0);
	if (out_pipe[1] >= 0)
		(void)fcntl(out_pipe[1], F_SETFL, 0);
	tool_make_variables(tool, &v);
	(void)posix_spawn_file_actions_init(&files);
	(void)posix_spawnattr_init(&attributes);
	if (tool->in)
		r = posix_spawn_file_actions_adddup2(&files, tool->in, 0);
	else
		r = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (r == 0 && (tool->out || run->stored))
		r = posix_spawn_file_actions_adddup2(&files, run->stored ? out_pipe[1] : tool->out,
						     1);
	else if (r == 0)
		r = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, err_pipe[1], 2);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (r == 0 && tool->dir)
		r = posix_spawn_file_actions_addchdir_np(&files, tool->dir);
	(void)sigemptyset(&signals);
	(void)posix_spawnattr_setsigmask(&attributes, &signals);
	(void)sigfillset(&signals);
	(void)posix_spawnattr_setsigdefault(&attributes, &signals);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
							    POSIX_SPAWN_SETSIGDEF);
	if (r == 0 && v.failed)
		r = ENOMEM;
	mask = umask(022);
	if (r == 0)
		r = posix_spawn(&run->pid, path, &files, &attributes, (char **)tool->argv, v.items);
	(void)umask(mask);
	(void)posix_spawn_file_actions_destroy(&files);
	(void)posix_spawnattr_destroy(&attributes);
	close_fd(&err_pipe[1]);
	close_fd(&out_pipe[1]);
	for (size_t i = 0; i < v.n; i++)
		free(v.items[i]);
	errno = r;
	if (r)
		return error_sys_code(err, ERROR_UNAVAILABLE, "failed to run %s", tool->argv[0]);
	run->pidfd = pidfd_open(run->pid, 0);
	return 0;
}

/* Adds "NAME=VALUE", or replaces the variable of this name. */
static void
tool_set_variable(struct variables *v, const char *name, const char *value)
{
	size_t len = strcspn(name, "="), i = 0;
	char *item;

	while (i < v->n && (strncmp(v->items[i], name, len) != 0 || v->items[i][len] != '='))
		i++;
	if (i == VARIABLES_MAX || asprintf(&item, "%s%s", name, value) < 0) {
		v->failed = true;
		return;
	}
	if (i < v->n)
		free(v->items[i]);
	else
		v->n++;
	v->items[i] = item;
}

static void
tool_make_variables(const struct tool *tool, struct variables *v)
{
	static const char *const proxies[] = {
		"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
		"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY",
	};
	const char *path = getenv("PATH"), *dir = work_current_dir();
	auto_free char *dirs = NULL;
	char number[16];

	for (size_t i = 0; i < ARRAY_LEN(proxies); i++) {
		auto_free char *name = NULL;

		if (!getenv(proxies[i]))
			continue;
		if (asprintf(&name, "%s=", proxies[i]) < 0) {
			name = NULL;
			v->failed = true;
			return;
		}
		tool_set_variable(v, name, getenv(proxies[i]));
	}
	if (asprintf(&dirs, "PATH=%s%s", path ? path : "", path && *path ? ":" : "") < 0) {
		dirs = NULL;
		v->failed = true;
		return;
	}
	(void)snprintf(number, sizeof(number), "%u", tool->epoch);
	tool_set_variable(v, dirs, "/usr/sbin:/usr/bin:/sbin:/bin");
	tool_set_variable(v, "LC_ALL=", "C");
	tool_set_variable(v, "TZ=", "UTC");
	tool_set_variable(v, "SOURCE_DATE_EPOCH=", number);
	tool_set_variable(v, "HOME=", dir ? dir : "/");
	tool_set_variable(v, "TMPDIR=", dir ? dir : "/tmp");
	for (const char *const *row = tool->env; row && *row; row++)
		tool_set_variable(v, *row, "");
}

/* Moves output until the tool has ended. */
static void
tool_follow(struct run *run)
{
	bool ended = false;

	run->kill_at = DEADLINE_NEVER;
	while (!ended) {
		struct pollfd wait[] = {
			{ .fd = run->pidfd, .events = POLLIN },
			{ .fd = run->err, .events = POLLIN },
			{ .fd = run->out, .events = POLLIN },
			{ .fd = run->terminated ? -1 : work_interrupt_fd(), .events = POLLIN },
		};

		if (poll(wait, ARRAY_LEN(wait), deadline_left_ms(run->kill_at)) < 0 &&
		    errno != EINTR)
			return;
		if (run->stored_too_much || deadline_is_over(run->kill_at))
			(void)kill(-run->pid, SIGKILL);
		if (work_interrupted() && !run->terminated) {
			run->terminated = true;
			run->kill_at = deadline_in(GRACE_MS);
			(void)kill(-run->pid, SIGTERM);
		}
		if (wait[1].revents)
			tool_drain(run, &run->err, true);
		if (wait[2].revents)
			tool_drain(run, &run->out, false);
		ended = wait[0].revents != 0;
	}
}

/* Reads what is there. A descendant that has escaped may hold the other end open. */
static void
tool_drain(struct run *run, int *fd, bool is_error)
{
	char bytes[4096];
	ssize_t n = 1;

	while (*fd >= 0 && n > 0) {
		n = RETRY_EINTR(read(*fd, bytes, sizeof(bytes)));
		if (n == 0 || (n < 0 && errno != EAGAIN))
			close_fd(fd);
		if (!is_error && n > 0 && buf_append(run->stored, bytes, (size_t)n) < 0)
			run->stored_too_much = true;
		for (ssize_t i = 0; is_error && i < n; i++) {
			if (bytes[i] == '\n' || bytes[i] == '\r')
				tool_take_line(run);
			else if (run->line_len < LINE_LEN_MAX)
				run->line[run->line_len++] = bytes[i];
		}
	}
}

/* Keeps the last lines, and passes this one on. */
static void
tool_take_line(struct run *run)
{
	size_t len = run->line_len;

	run->line[len] = '\0';
	run->line_len = 0;
	if (!len)
		return;
	if (run->tool->line)
		run->tool->line(run->line, run->tool->line_data);
	if (len > TAIL_MAX - 2)
		len = TAIL_MAX - 2;
	while (run->tail_len && run->tail_len + len + 2 > TAIL_MAX) {
		char *next = strstr(run->tail, "; ");
		size_t dropped = next ? (size_t)(next + 2 - run->tail) : run->tail_len;

		run->tail_len -= dropped;
		memmove(run->tail, run->tail + dropped, run->tail_len + 1);
	}
	if (run->tail_len) {
		memcpy(run->tail + run->tail_len, "; ", 2);
		run->tail_len += 2;
	}
	memcpy(run->tail + run->tail_len, run->line, len);
	run->tail_len += len;
	run->tail[run->tail_len] = '\0';
}

static int
tool_result(struct run *run, int status, struct error *err)
{
	const char *name = run->tool->argv[0];

	if (run->terminated)
		return work_check(err);
	if (run->stored_too_much)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "failed to run %s: more than %zu bytes of output", name,
				 run->stored->max);
	if (WIFSIGNALED(status))
		return error_set(err, ERROR_FAILED_PRECONDITION, "%s was killed by %s%s%s", name,
				 strsignal(WTERMSIG(status)), run->tail_len ? ": " : "", run->tail);
	if (WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_FAILED_PRECONDITION, "%s failed with status %d%s%s",
				 name, WEXITSTATUS(status), run->tail_len ? ": " : "", run->tail);
	return 0;
}
