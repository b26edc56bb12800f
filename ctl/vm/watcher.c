/* SPDX-License-Identifier: Apache-2.0 */
/* The process that accompanies a VM; see watcher.h. */
#include "ctl/vm/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <poll.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* Holes begin and end at multiples of a block of the file system. */
#define BLOCK (UINT64_C(64) << 10)
/* Time between the end of passt and that of QEMU, if QEMU's is the reason. */
#define QEMU_ENDS_MS 2000
/* A file in the VM's directory. */
#define NETWORK_DOWN "network.down"
#define PASST_ENDED  "passt has ended, so the VM has no network (passt.log has what it said)"

static void watcher_run(const struct watched *w, int dir, int changes);
static void watcher_trim_changed(int dir, int changes);
static bool watcher_is_meant(const char *name);
static void watcher_trim(int dir, const char *name);
static void watcher_note_passt(const struct watched *w, int dir);

pid_t
watcher_start(const struct watched *w, struct error *err)
{
	auto_close int dir = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	pid_t parent = getpid(), pid;

	if (dir < 0 || changes < 0 || inotify_add_watch(changes, w->dir, IN_MODIFY) < 0)
		return error_sys(err, "failed to watch %s", w->dir);
	pid = fork();
	if (pid < 0)
		return error_sys(err, "failed to start the process that watches the VM");
	if (pid > 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
		watcher_run(w, dir, changes);
	_exit(0);
}

/* Runs in the process. It keeps no output of this program open in the background: its reader would
 * not see the end. */
static void
watcher_run(const struct watched *w, int dir, int changes)
{
	const struct timespec pause = { .tv_sec = 1 };
	const int kept[] = { dir, changes, w->qemu, w->passt };
	struct pollfd p[] = { { .fd = changes, .events = POLLIN },
			      { .fd = w->passt, .events = POLLIN } };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	for (int fd = 0; fd < (w->is_foreground ? 2 : 3); fd++)
		(void)dup2(null, fd);
	(void)close_all_but(kept, ARRAY_LEN(kept));
	while (RETRY_EINTR(poll(p, ARRAY_LEN(p), -1)) > 0) {
		if (p[1].revents) {
			watcher_note_passt(w, dir);
			p[1].fd = -1;
		}
		if (p[0].revents & ~POLLIN)
			return;
		if (p[0].revents) {
			watcher_trim_changed(dir, changes);
			/* A flood wakes this process once a second, not with each write. */
			(void)nanosleep(&pause, NULL);
		}
	}
}

/* ---- logs ---- */

static void
watcher_trim_changed(int dir, int changes)
{
	alignas(struct inotify_event) char events[16384];
	ssize_t n;

	while ((n = read(changes, events, sizeof(events))) > 0) {
		const struct inotify_event *e;

		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
			e = (const struct inotify_event *)(const void *)(events + at);
			if (e->len && watcher_is_meant(e->name))
				watcher_trim(dir, e->name);
		}
	}
}

/* Returns whether the file is written by QEMU or by another program. Logs of containers have limits
 * of their own. */
static bool
watcher_is_meant(const char *name)
{
	static const char *const names[] = { "console.log", "qemu.log", "passt.log",
					     "vhost-device-vsock.log" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "virtiofsd-", strlen("virtiofsd-")) == 0;
}

static void
watcher_trim(int dir, const char *name)
{
	auto_close int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	uint64_t end;

	if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_blocks * 512 <= WATCHER_MAX ||
	    (uint64_t)st.st_size <= WATCHER_HEAD + BLOCK + WATCHER_TAIL)
		return;
	end = ((uint64_t)st.st_size - WATCHER_TAIL) / BLOCK * BLOCK;
	/* A file system without holes loses more: all writers append. */
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)WATCHER_HEAD,
		      (off_t)(end - WATCHER_HEAD)) < 0 &&
	    errno == EOPNOTSUPP)
		(void)!ftruncate(fd, 0);
}

off_t
watcher_last_part(int fd)
{
	off_t from = 0, data = 0, hole;

	for (;;) {
		hole = lseek(fd, data, SEEK_HOLE);
		data = hole < 0 ? -1 : lseek(fd, hole, SEEK_DATA);
		if (data < 0)
			return from;
		from = data;
	}
}

/* ---- the network ---- */

static void
watcher_note_passt(const struct watched *w, int dir)
{
	struct pollfd qemu = { .fd = w->qemu, .events = POLLIN };
	auto_close int fd = -1;

	/* passt ends with QEMU. */
	if (RETRY_EINTR(poll(&qemu, 1, QEMU_ENDS_MS)) != 0)
		return;
	if (w->is_foreground)
		(void)dprintf(STDERR_FILENO, "tatamictl: " PASST_ENDED "\n");
	fd = openat(dir, NETWORK_DOWN, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)write_full(fd, PASST_ENDED, strlen(PASST_ENDED));
}

bool
watcher_network_is_down(const char *dir, char *why, size_t size)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/" NETWORK_DOWN, dir);
	return read_text_at(AT_FDCWD, path, why, size) > 0;
}
