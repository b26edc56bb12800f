/* SPDX-License-Identifier: Apache-2.0 */
/* See hung.h. */
#include "agent/container/launch/hung.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "agent/cgroup/cgroup.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/log_event.h"
#include "lib/parse.h"

/* For the processes to end after they were found hanging, in milliseconds. */
#define WAIT_MS 5000
/* For the writes of a disk, in milliseconds, and between two looks: there is no event. */
#define INFLIGHT_MS      5000
#define INFLIGHT_POLL_MS 5
/* For the cgroup of processes that have ended. */
#define SWEEP_MS 1000

/* A flag of threads that exit: proc(5), field 9 of /proc/<pid>/stat. */
#define THREAD_EXITS 0x4u

static bool hung_all(const struct teardown *t, uint32_t *pid);
static bool hung_process(int proc, uint32_t pid);
static int hung_flush_disks(const struct roots *roots, struct error *err);
static int hung_flush_disk(const struct roots *roots, const char *name, struct error *err);

int
hung_leave(struct worker *w, const struct teardown *t, struct error *err)
{
	const char *path = t->cgroup_path;
	struct error failed = ERROR_INIT;
	uint32_t pid = 0;
	char text[16];
	const struct log_field fields[] = { { "process", text } };

	if (!t->hung || t->hung->n == HUNG_MAX || !hung_all(t, &pid))
		return -1;
	if (hung_flush_disks(t->roots, err) < 0)
		return -1;
	if (cgroup_remove(t->roots->cgroup, path, WAIT_MS, &failed) == 0)
		return 0;
	if (failed.code != ERROR_DEADLINE_EXCEEDED || !hung_all(t, &pid))
		return -1;
	if (worker_send(w, TEARDOWN_MSG_HUNG, path, strlen(path) + 1, NULL, 0, true, err) < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%u", pid);
	worker_event(w, LOG_LEVEL_WARN, EVENT_PROCESS_LEFT, fields, ARRAY_LEN(fields),
		     "container %s: process %u hangs in the kernel and is left behind: it and "
		     "cgroup %s stay until its system call ends",
		     t->id, pid, path);
	return 0;
}

void
hung_sweep(struct worker *w, const struct teardown *t)
{
	const int root = t->roots->cgroup;

	for (size_t i = 0; t->hung && root >= 0 && i < t->hung->n; i++) {
		const char *path = t->hung->path[i];
		struct error ignored = ERROR_INIT;

		if (cgroup_is_populated(root, path) ||
		    cgroup_remove(root, path, SWEEP_MS, &ignored) < 0)
			continue;
		(void)worker_send(w, TEARDOWN_MSG_GONE, path, strlen(path) + 1, NULL, 0, true,
				  &ignored);
	}
}

/* Returns whether the cgroup has processes, in it or below, and all of them hang. Stores one of
 * them. */
static bool
hung_all(const struct teardown *t, uint32_t *pid)
{
	const size_t len = strlen(t->cgroup_path);
	const int proc = t->roots->proc;
	auto_close int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool hang = true;
	size_t n = 0;

	if (!dir)
		return false;
	(void)steal_fd(&fd);
	while (hang && (e = readdir(dir))) {
		char path[CGROUP_PATH_MAX + 64];
		uint32_t id;

		if (!parse_u32(e->d_name, &id) ||
		    cgroup_of_process(proc, (int)id, path, sizeof(path)) < 0 ||
		    strncmp(path, t->cgroup_path, len) != 0 || (path[len] && path[len] != '/'))
			continue;
		*pid = id;
		n++;
		hang = hung_process(proc, id);
	}
	(void)closedir(dir);
	return hang && n > 0;
}

/* Returns whether a thread with this line of /proc/<pid>/stat hangs or has ended. The first process
 * of a pid namespace waits interruptibly while it exits, for one that hangs. */
static bool
hung_thread(const char *stat)
{
	/* The name before it may contain anything. */
	const char *field = strrchr(stat, ')');
	char state, number[16];
	uint32_t flags;

	if (!field || field[1] != ' ' || !field[2])
		return false;
	state = field[2];
	if (strchr("DZX", state))
		return true;
	/* The flags are six fields further. */
	for (int i = 0; field && i < 7; i++)
		field = strchr(field + 1, ' ');
	if (state != 'S' || !field)
		return false;
	(void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(field + 1, " "), field + 1);
	return parse_u32(number, &flags) && (flags & THREAD_EXITS);
}

/* Returns whether no thread of the process runs. */
static bool
hung_process(int proc, uint32_t pid)
{
	char name[48];
	auto_close int fd = -1;
	DIR *dir;
	struct dirent *e;
	bool hangs = true;

	(void)snprintf(name, sizeof(name), "%u/task", pid);
	fd = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return errno == ENOENT;
	while (hangs && (e = readdir(dir))) {
		char stat[512], file[280];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof(file), "%s/stat", e->d_name);
		if (read_text_at(fd, file, stat, sizeof(stat)) < 0)
			continue;
		hangs = hung_thread(stat);
	}
	(void)steal_fd(&fd);
	(void)closedir(dir);
	return hangs;
}

/* Writes all data for disks, and waits until it is there. */
static int
hung_flush_disks(const struct roots *roots, struct error *err)
{
	auto_close int fd = openat(roots->sys, "block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : error_sys(err, "failed to list the disks");
	(void)steal_fd(&fd);
	while (r == 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			r = hung_flush_disk(roots, e->d_name, err);
	(void)closedir(dir);
	return r;
}

/* Waits for a moment in which the disk has no write to do: other containers may go on writing. */
static int
hung_await_writes(const struct roots *roots, const char *name, struct error *err)
{
	uint64_t deadline = deadline_in(INFLIGHT_MS);
	char path[300], text[64];

	(void)snprintf(path, sizeof(path), "block/%s/inflight", name);
	/* the numbers of reads and of writes */
	while (read_text_at(roots->sys, path, text, sizeof(text)) > 0) {
		const char *writes = strrchr(text, ' ');

		if (writes && strcmp(writes, " 0") == 0)
			break;
		if (deadline_is_over(deadline))
			return error_set(err, ERROR_DEADLINE_EXCEEDED,
					 "disk %s does not complete its writes", name);
		(void)poll(NULL, 0, INFLIGHT_POLL_MS);
	}
	return 0;
}

static int
hung_flush_disk(const struct roots *roots, const char *name, struct error *err)
{
	auto_close int fd = -1;

	/* The flush has no time limit. */
	if (hung_await_writes(roots, name, err) < 0)
		return -1;
	/* A disk without a node, or without a medium, has no data. */
	fd = openat(roots->dev, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	/* Includes the file system that is mounted from the disk. Fails if the disk is gone. */
	(void)ioctl(fd, BLKFLSBUF);
	return hung_await_writes(roots, name, err);
}
