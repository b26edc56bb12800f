/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Killing and removing cgroups. A container makes the cgroups below its own: their depth and number
 * are not trusted, so nothing recurses and everything has a deadline.
 *
 *	kill -> wait until empty -> remove the cgroups below, deepest first -> remove the cgroup
 *	-> remove its empty parents
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"

/* between two attempts, where the kernel offers no event */
#define RETRY_MS 5
/* The limit of a whole removal, as a multiple of its timeout. */
#define PATIENCE 8

/* The direction of the walk after a directory. */
enum visit {
	VISIT_FAILED = -1,
	VISIT_UP,
	VISIT_DOWN,
};

/* A thousand processes take their time to end on a busy machine: the timeout begins again whenever
 * fewer are left than ever before. */
struct patience {
	int timeout_ms;
	uint64_t deadline_ns, end_ns, least;
};

static int remove_once(int root_fd, const char *path, struct patience *p, struct error *err);
static int remove_wait_empty(int dir, struct patience *p);
static void remove_note_progress(int dir, struct patience *p);
static int remove_below(int top, uint64_t deadline_ns);
static enum visit remove_children(int *dir);
static void remove_parents(int root_fd, const char *path);
static int remove_kill(int dir);

int
cgroup_remove(int root_fd, const char *path, int timeout_ms, struct error *err)
{
	struct patience p = {
		.timeout_ms = timeout_ms,
		.deadline_ns = deadline_of_timeout(timeout_ms),
		.end_ns = timeout_ms < 0 ? DEADLINE_NEVER
					 : deadline_in((uint64_t)timeout_ms * PATIENCE),
		.least = UINT64_MAX,
	};
	struct error failed;

	/* rmdir fails with EBUSY until the kernel has released the last process, for which there is
	 * no event. Other failures, such as ENOMEM or EMFILE, are retried as well, since nothing
	 * else removes the cgroup later. */
	for (;;) {
		failed = ERROR_INIT;
		if (remove_once(root_fd, path, &p, &failed) == 0)
			break;
		if (deadline_is_over(p.deadline_ns)) {
			*err = failed;
			return -1;
		}
		(void)poll(NULL, 0, RETRY_MS);
	}
	remove_parents(root_fd, path);
	return 0;
}

/* Returns the first process id in cgroup.procs, 0 if there is none. */
static int
remove_first_pid(int dir)
{
	char text[32];
	uint32_t pid;

	if (read_text_at(dir, "cgroup.procs", text, sizeof(text)) <= 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return parse_u32(text, &pid) ? (int)pid : 0;
}

/* Makes one attempt. Returns 0 if the cgroup is gone, or -1 and sets err. */
static int
remove_once(int root_fd, const char *path, struct patience *p, struct error *err)
{
	auto_close int fd = -1;

	if (unlinkat(root_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	fd = cgroup_open(root_fd, path);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_sys(err, "failed to open cgroup %s", path);
	if (remove_kill(fd) < 0 && errno != ENODEV)
		return error_sys(err, "failed to kill the processes of cgroup %s", path);
	if (remove_wait_empty(fd, p) < 0) {
		if (errno != ETIMEDOUT)
			return error_sys(err, "failed to read cgroup.events of %s", path);
		return error_set(err, ERROR_DEADLINE_EXCEEDED,
				 "failed to remove cgroup %s: process %d does not exit", path,
				 remove_first_pid(fd));
	}
	(void)remove_below(fd, p->deadline_ns);
	if (unlinkat(root_fd, path, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return error_sys_code(err, ERROR_DEADLINE_EXCEEDED, "failed to remove cgroup %s", path);
}

/* Waits until no process is left in and below dir. The kernel signals changes of cgroup.events by
 * POLLPRI. Failed reads are repeated. Returns 0, or -1 and errno: ETIMEDOUT, or that of the last
 * read. */
static int
remove_wait_empty(int dir, struct patience *p)
{
	auto_close int fd = -1;
	char text[256];
	ssize_t n;

	for (;;) {
		struct pollfd changed = { .events = POLLPRI };
		int left, errnum = ETIMEDOUT;

		remove_note_progress(dir, p);
		left = deadline_left_ms(p->deadline_ns);
		if (fd < 0)
			fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : RETRY_EINTR(pread(fd, text, sizeof(text) - 1, 0));
		if (n < 0)
			errnum = errno;
		if (errnum == ENODEV || errnum == ENOENT)
			return 0;
		text[n < 0 ? 0 : n] = '\0';
		if (n >= 0 && !strstr(text, "populated 1"))
			return 0;
		if (left == 0) {
			errno = errnum;
			return -1;
		}
		changed.fd = fd;
		/* a fork may have raced with the kill: kill again on each change and every 100
		 * ms */
		(void)poll(&changed, 1, left > 100 ? 100 : left);
		(void)remove_kill(dir);
	}
}

static void
remove_note_progress(int dir, struct patience *p)
{
	uint64_t n, again = deadline_of_timeout(p->timeout_ms);
	char text[32];

	/* The cgroup may lack the controller. */
	if (read_text_at(dir, "pids.current", text, sizeof(text)) < 0 || !parse_u64(text, &n))
		return;
	if (n < p->least && p->least != UINT64_MAX)
		p->deadline_ns = again < p->end_ns ? again : p->end_ns;
	if (n < p->least)
		p->least = n;
}

/* Removes all cgroups below top, deepest first. Returns 0, or -1 if that failed or timed out. */
static int
remove_below(int top, uint64_t deadline_ns)
{
	auto_close int dir = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t depth = 0;
	int up;

	while (dir >= 0) {
		if (deadline_is_over(deadline_ns))
			return -1;
		switch (remove_children(&dir)) {
		case VISIT_FAILED:
			return -1;
		case VISIT_DOWN:
			depth++;
			break;
		case VISIT_UP:
			if (depth-- == 0)
				return 0;
			/* safe: a directory of cgroupfs cannot be moved to another parent */
			up = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			close_fd(&dir);
			dir = up;
			break;
		}
	}
	return -1;
}

/* Returns the next subdirectory, NULL at the end. */
static const char *
remove_next_child(DIR *d)
{
	struct dirent *e;

	while ((e = readdir(d))) {
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0)
			return e->d_name;
	}
	return NULL;
}

/* Removes the children of *dir that have no children. Steps into the first one that cannot be
 * removed. */
static enum visit
remove_children(int *dir)
{
	auto_close int copy = openat(*dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *name;
	DIR *d;
	int child = -1;

	if (copy < 0)
		return VISIT_FAILED;
	d = fdopendir(copy);
	if (!d)
		return VISIT_FAILED;
	(void)steal_fd(&copy);
	while ((name = remove_next_child(d))) {
		if (unlinkat(*dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		child = openat(*dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (child >= 0)
			break;
	}
	(void)closedir(d);
	if (child < 0)
		return VISIT_UP;
	close_fd(dir);
	*dir = child;
	return VISIT_DOWN;
}

/* Removes empty parents, except the first component, below which other containers may be made
 * now. */
static void
remove_parents(int root_fd, const char *path)
{
	char part[CGROUP_PATH_MAX + 1], *slash;

	if (strlen(path) >= sizeof(part))
		return;
	memcpy(part, path, strlen(path) + 1);
	while ((slash = strrchr(part, '/')) && slash != strchr(part, '/')) {
		*slash = '\0';
		/* the creation may have failed before it made all of them */
		if (RETRY_EINTR(unlinkat(root_fd, part, AT_REMOVEDIR)) < 0 && errno != ENOENT)
			return;
	}
}

int
cgroup_kill(int root_fd, const char *path)
{
	auto_close int fd = cgroup_open(root_fd, path);

	return fd < 0 ? -1 : remove_kill(fd);
}

static int
remove_kill(int dir)
{
	return write_text_at(dir, "cgroup.kill", "1");
}

static int
remove_undo(const struct step *step, struct error *err)
{
	const char *path = step->name + strspn(step->name, "/");

	return *path ? cgroup_remove(step->fd, path, UNDO_WAIT_MS, err) : 0;
}

const struct undo_kind undo_cgroup = { .name = "remove cgroup", .undo = remove_undo };
