/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of volumes (agent/storage/mirror.h) between local directories. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/storage/mirror.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/support/check.h"

/* A volume `s`, the place `p` of its copy, and the mirror of both. */
static char top[64];
static int dir = -1;
static struct mirror m;

static void
begin(void)
{
	struct error err = ERROR_INIT;
	auto_close int place = -1;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	(void)umask(0);
	strcpy(top, "/tmp/test-mirror-XXXXXX");
	REQUIRE(mkdtemp(top));
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(dir >= 0 && mkdirat(dir, "s", 0755) == 0 && mkdirat(dir, "p", 0755) == 0);
	place = openat(dir, "p", O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_EQ(mirror_open(&m, openat(dir, "s", O_PATH | O_DIRECTORY | O_CLOEXEC), place, true,
			       &err),
		   0, "%s", err.msg);
}

static void
end(void)
{
	struct error err = ERROR_INIT;

	mirror_close(&m);
	if (dir < 0)
		return;
	(void)close(dir);
	REQUIRE_EQ(path_remove_tree(AT_FDCWD, top, &err), 0, "%s", err.msg);
}

TestSuite(mirror, .init = begin, .fini = end, .timeout = 120);

static int
sync_once(void)
{
	struct error err = ERROR_INIT;
	int r = mirror_sync(&m, &err);

	REQUIRE_GE(r, 0, "%s", err.msg);
	return r;
}

static void
put_bytes(const char *path, const void *text, size_t n, mode_t mode)
{
	auto_close int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	REQUIRE(fd >= 0, "%s: %s", path, strerror(errno));
	REQUIRE_EQ(write(fd, text, n), (ssize_t)n);
}

static void
put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text), 0644);
}

/* Returns the text of a file, in static memory; NULL if it cannot be read. */
static const char *
text_of(const char *path)
{
	static char text[4096];
	auto_close int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return NULL;
	text[n] = '\0';
	return text;
}

static bool
has(const char *path, const char *want)
{
	const char *text = text_of(path);

	return text && strcmp(text, want) == 0;
}

static bool
is_there(const char *path)
{
	struct stat st;

	return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static unsigned int
count(const char *path)
{
	DIR *d = fdopendir(openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned int n = 0;

	REQUIRE(d, "%s", path);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* Updates the volume as a kubelet does: the keys a, b and c have the same text. */
static void
publish(int volume, unsigned int version)
{
	char name[32], path[96], text[32], old[64];
	ssize_t n = readlinkat(volume, "..data", old, sizeof(old) - 1);

	(void)snprintf(name, sizeof(name), "..2026_%u", version);
	(void)snprintf(text, sizeof(text), "version %u", version);
	if (mkdirat(volume, name, 0755) < 0)
		_exit(1);
	for (const char *key = "abc"; *key; key++) {
		int fd;

		(void)snprintf(path, sizeof(path), "%s/%c", name, *key);
		fd = openat(volume, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			_exit(1);
		(void)close(fd);
	}
	if (symlinkat(name, volume, "..data_tmp") < 0 ||
	    renameat(volume, "..data_tmp", volume, "..data") < 0)
		_exit(1);
	for (const char *key = "abc"; *key; key++) {
		const char link[2] = { *key };

		(void)snprintf(path, sizeof(path), "..data/%c", *key);
		(void)symlinkat(path, volume, link);
	}
	if (n <= 0)
		return;
	old[n] = '\0';
	for (const char *key = "abc"; *key; key++) {
		(void)snprintf(path, sizeof(path), "%s/%c", old, *key);
		(void)unlinkat(volume, path, 0);
	}
	if (unlinkat(volume, old, AT_REMOVEDIR) < 0)
		_exit(1);
}

Test(mirror, versions_are_published_as_by_a_kubelet)
{
	auto_close int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char target[64] = "";

	publish(volume, 1);
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE(m.has_versions && has("p/data/a", "version 1") && has("p/data/c", "version 1"));
	REQUIRE_EQ(count("p/data"), 5);
	REQUIRE_EQ(sync_once(), 0);
	REQUIRE_EQ(mirror_has_changed(&m), 0);
	publish(volume, 2);
	REQUIRE_EQ(mirror_has_changed(&m), 1);
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE(has("p/data/a", "version 2"));
	/* The old version is there for readers that have just read ..data. */
	REQUIRE(has("p/data/..2026_1/a", "version 1"));
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE(!is_there("p/data/..2026_1"));
	REQUIRE_EQ(sync_once(), 0);
	REQUIRE(readlinkat(dir, "p/data/..data", target, sizeof(target) - 1) > 0);
	REQUIRE_STR(target, "..2026_2");
	REQUIRE_EQ(count("p/new"), 0);
	/* A key is removed. */
	REQUIRE_EQ(unlinkat(dir, "s/b", 0), 0);
	REQUIRE_EQ(mirror_has_changed(&m), 1);
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE(!is_there("p/data/b") && has("p/data/a", "version 2"));
}

Test(mirror, a_version_that_is_not_complete_is_not_seen)
{
	struct error err = ERROR_INIT;
	auto_close int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	publish(volume, 1);
	(void)sync_once();
	/* An update that has not been renamed yet. */
	REQUIRE(mkdirat(volume, "..2026_2", 0755) == 0);
	put("s/..2026_2/a", "version 2");
	REQUIRE(symlinkat("..2026_2", volume, "..data_tmp") == 0);
	(void)sync_once();
	REQUIRE(has("p/data/a", "version 1") && !is_there("p/data/..2026_2") &&
		!is_there("p/data/..data_tmp"));
	/* A link to a version that is gone. */
	REQUIRE(symlinkat("..2026_3", volume, "x") == 0 &&
		renameat(volume, "x", volume, "..data") == 0);
	REQUIRE_EQ(mirror_sync(&m, &err), -1);
	REQUIRE_EQ(err.code, ERROR_ABORTED, "%s", err.msg);
	REQUIRE(has("p/data/a", "version 1"));
}

Test(mirror, attributes_are_kept)
{
	const struct timespec times[2] = { { 1000000000, 1 }, { 1000000001, 2 } };
	struct stat st;

	put("s/file", "text");
	REQUIRE(mkdirat(dir, "s/sub", 0) == 0);
	put("s/sub/script", "#!");
	REQUIRE(symlinkat("/etc/passwd", dir, "s/link") == 0);
	REQUIRE(fchownat(dir, "s/file", 11, 22, 0) == 0 && fchmodat(dir, "s/file", 04750, 0) == 0);
	REQUIRE(utimensat(dir, "s/file", times, 0) == 0);
	REQUIRE(fchownat(dir, "s/link", 33, 44, AT_SYMLINK_NOFOLLOW) == 0);
	REQUIRE(fchownat(dir, "s/sub", 55, 66, 0) == 0 && fchmodat(dir, "s/sub", 02750, 0) == 0);
	REQUIRE(fchmodat(dir, "s", 01777, 0) == 0);
	(void)sync_once();
	REQUIRE(fstatat(dir, "p/data/file", &st, 0) == 0);
	REQUIRE(st.st_uid == 11 && st.st_gid == 22 && (st.st_mode & 07777) == 04750);
	REQUIRE(st.st_mtim.tv_sec == 1000000001 && st.st_mtim.tv_nsec == 2);
	REQUIRE(fstatat(dir, "p/data/link", &st, AT_SYMLINK_NOFOLLOW) == 0);
	REQUIRE(S_ISLNK(st.st_mode) && st.st_uid == 33 && st.st_gid == 44);
	REQUIRE(fstatat(dir, "p/data/sub", &st, 0) == 0);
	REQUIRE(st.st_uid == 55 && st.st_gid == 66 && (st.st_mode & 07777) == 02750);
	REQUIRE(fstatat(dir, "p/data", &st, 0) == 0 && (st.st_mode & 07777) == 01777);
	REQUIRE_EQ(sync_once(), 0);
	/* Only attributes change: the file stays the same one. */
	REQUIRE(fstatat(dir, "p/data/file", &st, 0) == 0);
	REQUIRE(fchmodat(dir, "s/file", 0600, 0) == 0 && fchownat(dir, "s/file", 1, 2, 0) == 0);
	REQUIRE_EQ(sync_once(), 1);
	{
		struct stat now;

		REQUIRE(fstatat(dir, "p/data/file", &now, 0) == 0 && now.st_ino == st.st_ino);
		REQUIRE(now.st_uid == 1 && now.st_gid == 2 && (now.st_mode & 07777) == 0600);
	}
}

Test(mirror, plain_trees_follow_every_kind_of_change)
{
	REQUIRE(mkdirat(dir, "s/d", 0755) == 0 && mkdirat(dir, "s/d/e", 0755) == 0);
	put("s/d/e/deep", "one");
	put("s/x", "file");
	put("s/y", "file");
	REQUIRE(symlinkat("x", dir, "s/z") == 0);
	(void)sync_once();
	REQUIRE(!m.has_versions && has("p/data/d/e/deep", "one") && has("p/data/z", "file"));
	/* A file becomes a directory, a directory a link, a link a file; one is removed. */
	REQUIRE(unlinkat(dir, "s/x", 0) == 0 && mkdirat(dir, "s/x", 0755) == 0);
	put("s/x/new", "two");
	REQUIRE(unlinkat(dir, "s/d/e/deep", 0) == 0 && unlinkat(dir, "s/d/e", AT_REMOVEDIR) == 0 &&
		unlinkat(dir, "s/d", AT_REMOVEDIR) == 0 && symlinkat("x", dir, "s/d") == 0);
	REQUIRE(unlinkat(dir, "s/z", 0) == 0 && unlinkat(dir, "s/y", 0) == 0);
	put("s/z", "three");
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE(has("p/data/x/new", "two") && has("p/data/d/new", "two") &&
		has("p/data/z", "three") && !is_there("p/data/y"));
	REQUIRE_EQ(count("p/data"), 3);
	REQUIRE_EQ(count("p/new"), 0);
	/* The same size, and the same time as far as its resolution goes. */
	{
		struct stat st;
		struct timespec times[2];

		REQUIRE(fstatat(dir, "s/z", &st, 0) == 0);
		put("s/z", "THREE");
		times[0] = times[1] = st.st_mtim;
		REQUIRE(utimensat(dir, "s/z", times, 0) == 0);
		REQUIRE_EQ(sync_once(), 1);
		REQUIRE(has("p/data/z", "THREE"));
	}
	/* A volume of versions becomes a plain one, and vice versa. */
	{
		auto_close int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		publish(volume, 7);
		(void)sync_once();
		REQUIRE(m.has_versions && has("p/data/a", "version 7") && has("p/data/z", "THREE"));
		REQUIRE(unlinkat(dir, "s/..data", 0) == 0);
		(void)sync_once();
		REQUIRE(!m.has_versions && !is_there("p/data/..data") &&
			has("p/data/..2026_7/a", "version 7"));
	}
}

Test(mirror, special_files_are_left_out)
{
	put("s/was-a-file", "text");
	(void)sync_once();
	REQUIRE(unlinkat(dir, "s/was-a-file", 0) == 0 && mkfifoat(dir, "s/was-a-file", 0600) == 0);
	REQUIRE(mkfifoat(dir, "s/fifo", 0600) == 0);
	REQUIRE(mknodat(dir, "s/null", S_IFCHR | 0600, makedev(1, 3)) == 0);
	REQUIRE(mknodat(dir, "s/socket", S_IFSOCK | 0600, 0) == 0);
	(void)sync_once();
	REQUIRE_EQ(m.skipped, 4);
	REQUIRE_EQ(count("p/data"), 0);
}

Test(mirror, ten_thousand_files)
{
	char path[32];

	for (unsigned int i = 0; i < 10000; i++) {
		(void)snprintf(path, sizeof(path), "s/%u", i);
		put(path, path);
	}
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE_EQ(count("p/data"), 10000);
	REQUIRE(has("p/data/9999", "s/9999"));
	REQUIRE_EQ(m.entries, 10000);
	REQUIRE_EQ(m.bytes, 10000 * 4096);
	REQUIRE_EQ(sync_once(), 0);
	put("s/5000", "changed");
	REQUIRE_EQ(unlinkat(dir, "s/5001", 0), 0);
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE_EQ(m.copied, 1);
	REQUIRE(has("p/data/5000", "changed") && !is_there("p/data/5001"));
}

Test(mirror, a_file_of_100_mib)
{
	const off_t size = 100 << 20;
	auto_close int fd = openat(dir, "s/large", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	auto_close int copy = -1;
	struct stat st;
	char last[4] = "";

	REQUIRE(ftruncate(fd, size) == 0 && pwrite(fd, "end", 3, size - 3) == 3);
	REQUIRE_EQ(sync_once(), 1);
	copy = openat(dir, "p/data/large", O_RDONLY | O_CLOEXEC);
	REQUIRE(copy >= 0 && fstat(copy, &st) == 0);
	REQUIRE_EQ(st.st_size, size);
	REQUIRE(pread(copy, last, 3, size - 3) == 3);
	REQUIRE_STR(last, "end");
	REQUIRE_EQ(sync_once(), 0);
}

Test(mirror, a_deadline)
{
	struct error err = ERROR_INIT;

	put("s/file", "text");
	m.deadline = deadline_in(0);
	REQUIRE_EQ(mirror_sync(&m, &err), -1);
	REQUIRE_EQ(err.code, ERROR_DEADLINE_EXCEEDED, "%s", err.msg);
	REQUIRE_EQ(count("p/data") + count("p/new"), 0);
	m.deadline = 0;
	REQUIRE_EQ(sync_once(), 1);
	REQUIRE(has("p/data/file", "text"));
}

/* An update does not fit: the copy stays as it was, and nothing of the update is left. */
Test(mirror, an_update_without_room)
{
	struct error err = ERROR_INIT;
	auto_close int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int place = -1;
	auto_free char *large = calloc(1, 1 << 20);
	char target[80];

	REQUIRE(unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	(void)snprintf(target, sizeof(target), "%s/p", top);
	mirror_close(&m);
	REQUIRE(mount("small", target, "tmpfs", 0, "size=128k") == 0);
	/* `dir` is in the former mount namespace. */
	(void)close(dir);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	place = openat(dir, "p", O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_EQ(mirror_open(&m, openat(dir, "s", O_PATH | O_DIRECTORY | O_CLOEXEC), place, true,
			       &err),
		   0, "%s", err.msg);
	publish(volume, 1);
	(void)sync_once();
	REQUIRE_EQ(mirror_check_room(&m, &err), 0, "%s", err.msg);
	publish(volume, 2);
	put_bytes("s/..2026_2/a", large, 1 << 20, 0644);
	for (int i = 0; i < 3; i++) {
		err = ERROR_INIT;
		REQUIRE_EQ(mirror_sync(&m, &err), -1);
		REQUIRE_EQ(err.code, ERROR_RESOURCE_EXHAUSTED, "%s", err.msg);
		REQUIRE(has("p/data/a", "version 1") && has("p/data/b", "version 1"));
	}
	publish(volume, 3);
	(void)sync_once();
	(void)sync_once();
	REQUIRE(has("p/data/a", "version 3") && count("p/new") == 0 && count("p/data") == 5);
	put_bytes("s/..2026_3/a", large, 80 << 10, 0644);
	(void)sync_once();
	REQUIRE_EQ(mirror_check_room(&m, &err), -1);
	REQUIRE_EQ(err.code, ERROR_RESOURCE_EXHAUSTED, "%s", err.msg);
	mirror_close(&m);
	(void)close(steal_fd(&place));
	REQUIRE_EQ(umount2(target, 0), 0);
}

/* Starts a process that publishes versions from 2 on, each `pause_us` after the last. */
static pid_t
start_updates(unsigned int pause_us)
{
	pid_t pid = fork();

	if (pid == 0) {
		int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		for (unsigned int i = 2;; i++) {
			publish(volume, i);
			if (pause_us > 0)
				(void)usleep(pause_us);
		}
	}
	REQUIRE(pid > 0);
	return pid;
}

static void
stop(pid_t pid)
{
	int status;

	REQUIRE(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFSIGNALED(status), "the process ended by itself");
}

/* Updates come without a pause while the volume is copied, and a reader reads all keys of the copy:
 * it finds each of them, all of one version, and never an older version than before. */
Test(mirror, readers_see_whole_versions)
{
	auto_close int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int copies = 0, last = 0;
	pid_t updates, copier;

	publish(volume, 1);
	(void)sync_once();
	updates = start_updates(0);
	copier = fork();
	if (copier == 0)
		for (;;) {
			struct error err = ERROR_INIT;

			if (mirror_sync(&m, &err) < 0 && err.code != ERROR_ABORTED)
				_exit(1);
			(void)usleep(30000);
		}
	for (int round = 0; round < 6000; round++) {
		/* A version is there at least until the next copy. */
		uint64_t limit = deadline_in(20);
		auto_close int version =
			openat(dir, "p/data/..data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		unsigned int seen = 0;

		REQUIRE(version >= 0, "%s", strerror(errno));
		for (const char *key = "abc"; *key; key++) {
			const char name[2] = { *key };
			auto_close int fd = openat(version, name, O_RDONLY | O_CLOEXEC);
			unsigned int n = 0;
			char text[32] = "";

			if (fd < 0 && deadline_is_over(limit))
				break;
			REQUIRE(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "%s",
				strerror(errno));
			REQUIRE_EQ(sscanf(text, "version %u", &n), 1, "%s", text);
			REQUIRE(seen == 0 || n == seen, "%u and %u", seen, n);
			seen = n;
		}
		if (seen == 0)
			continue;
		REQUIRE_GE(seen, last);
		copies += seen > last;
		last = seen;
		REQUIRE(text_of("p/data/a"), "%s", strerror(errno));
		(void)usleep(100);
	}
	stop(copier);
	stop(updates);
	REQUIRE_GT(copies, 5);
}

/* Most copies find the version that they made before, and in some of them it is just being removed
 * from the volume: the copy keeps it whole, whatever the result. */
Test(mirror, versions_that_are_being_removed_stay_whole)
{
	auto_close int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned int last = 1, versions = 0, aborted = 0;
	pid_t updates;

	publish(volume, 1);
	(void)sync_once();
	updates = start_updates(300);
	for (int round = 0; round < 4000; round++) {
		struct error err = ERROR_INIT;
		unsigned int seen = 0;

		if (mirror_sync(&m, &err) < 0) {
			REQUIRE_EQ(err.code, ERROR_ABORTED, "%s", err.msg);
			aborted++;
		}
		for (const char *key = "abc"; *key; key++) {
			char path[16];
			const char *text;
			unsigned int n = 0;

			(void)snprintf(path, sizeof(path), "p/data/..data/%c", *key);
			text = text_of(path);
			REQUIRE(text, "round %d: %s: %s", round, path, strerror(errno));
			REQUIRE_EQ(sscanf(text, "version %u", &n), 1, "%s", text);
			REQUIRE(seen == 0 || n == seen, "%u and %u", seen, n);
			seen = n;
		}
		versions += seen != last;
		last = seen;
	}
	stop(updates);
	REQUIRE_GT(versions, 5);
	REQUIRE_GT(aborted, 0);
}

/* A process exchanges entries of all types, and links that lead out, in the source. */
Test(mirror, hostile_changes_lead_nowhere)
{
	pid_t changes;

	REQUIRE(mkdirat(dir, "outside", 0755) == 0);
	put("outside/secret", "canary");
	REQUIRE(mkdirat(dir, "s/x", 0755) == 0);
	put("s/x/secret", "plain");
	changes = fork();
	if (changes == 0) {
		int s = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		(void)mkdirat(s, "d", 0755);
		put("s/d/secret", "plain");
		put("s/f", "plain");
		(void)symlinkat("../outside", s, "l");
		(void)symlinkat("../outside/secret", s, "m");
		(void)mkfifoat(s, "p", 0600);
		(void)mknodat(s, "c", S_IFCHR | 0600, makedev(1, 5));
		for (const char *next = "dlfmpcldmfcp";; next++) {
			const char name[2] = { *next };

			if (!*next)
				next = "dlfmpcldmfcp";
			if (*name)
				(void)sys_renameat2(s, name, s, "x", SYS_RENAME_EXCHANGE);
		}
	}
	for (int round = 0; round < 300; round++) {
		struct error err = ERROR_INIT;
		struct stat st;

		if (mirror_sync(&m, &err) < 0)
			REQUIRE_NE(err.code, ERROR_RESOURCE_EXHAUSTED, "%s", err.msg);
		for (const char *key = "xdflmpc"; *key; key++) {
			char path[32];

			(void)snprintf(path, sizeof(path), "p/data/%c", *key);
			if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
				continue;
			REQUIRE(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode));
			if (S_ISREG(st.st_mode))
				REQUIRE(has(path, "plain"), "%s: %s", path, text_of(path));
			if (!S_ISDIR(st.st_mode))
				continue;
			(void)snprintf(path, sizeof(path), "p/data/%c/secret", *key);
			REQUIRE(!is_there(path) || has(path, "plain"), "%s", path);
		}
	}
	stop(changes);
	REQUIRE(has("outside/secret", "canary") && count("outside") == 1);
}

/* The copy is removed while another process keeps copying. */
Test(mirror, removal_beside_a_writer)
{
	auto_close int place = openat(dir, "p", O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_close int volume = openat(dir, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t updates, copier;

	publish(volume, 1);
	updates = start_updates(0);
	for (int round = 0; round < 50; round++) {
		struct error err = ERROR_INIT;
		int source = openat(dir, "s", O_PATH | O_DIRECTORY | O_CLOEXEC);

		mirror_close(&m);
		if (round == 0)
			REQUIRE_EQ(mirror_remove(place, &err), 0, "%s", err.msg);
		REQUIRE_EQ(mirror_open(&m, source, place, true, &err), 0, "%s", err.msg);
		copier = fork();
		if (copier == 0)
			for (;;) {
				struct error ignored = ERROR_INIT;

				(void)mirror_sync(&m, &ignored);
			}
		(void)usleep((unsigned int)(round % 10) * 500);
		REQUIRE_EQ(mirror_remove(place, &err), 0, "%s", err.msg);
		REQUIRE_EQ(count("p"), 0);
		(void)usleep(1000);
		REQUIRE_EQ(count("p"), 0, "created again");
		stop(copier);
	}
	stop(updates);
}
