/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of volumes that a worker keeps like their sources. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "tests/unit/agent/storage/bench.h"

/* The volume at b->dir/<name>, copied to b->dir/<at>. */
static struct storage_spec
volume(const struct bench *b, const char *name, const char *point)
{
	static char kept[8][2][128];
	static unsigned int next;
	char(*to)[128] = kept[next++ % 8];

	(void)snprintf(to[0], sizeof(to[0]), "%s/%s", b->dir, name);
	(void)snprintf(to[1], sizeof(to[1]), "%s/%s", b->dir, point);
	return (struct storage_spec){
		.driver = "copy", .source = to[0], .fstype = "bind", .mount_point = to[1]
	};
}

static void
put(const struct bench *b, const char *name, const char *text)
{
	auto_close int fd = open(at(b, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static bool
has(const struct bench *b, const char *name, const char *want)
{
	auto_close int fd = open(at(b, name), O_RDONLY | O_CLOEXEC);
	char text[64];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0)
		return false;
	text[n] = '\0';
	return strcmp(text, want) == 0;
}

/* Makes or updates a volume with the key `key`, as a kubelet does. */
static void
publish(const struct bench *b, const char *name, const char *version, const char *text)
{
	auto_close int fd = -1;
	char path[128], old[64];
	ssize_t n;

	(void)mkdir(at(b, name), 0755);
	fd = open(at(b, name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	n = readlinkat(fd, "..data", old, sizeof(old) - 1);
	REQUIRE(mkdirat(fd, version, 0755) == 0);
	(void)snprintf(path, sizeof(path), "%s/%s/key", name, version);
	put(b, path, text);
	REQUIRE(symlinkat(version, fd, "..data_tmp") == 0);
	REQUIRE(renameat(fd, "..data_tmp", fd, "..data") == 0);
	if (n < 0) {
		REQUIRE(symlinkat("..data/key", fd, "key") == 0);
		return;
	}
	old[n] = '\0';
	(void)snprintf(path, sizeof(path), "%s/key", old);
	REQUIRE(unlinkat(fd, path, 0) == 0 && unlinkat(fd, old, AT_REMOVEDIR) == 0);
}

static void
drop(const struct bench *b, const char *name)
{
	struct error err = ERROR_INIT;

	REQUIRE(path_remove_tree(AT_FDCWD, at(b, name), &err) == 0);
}

/* Returns the pid of a process with this name that is younger than the test, 0 if there is none. */
static pid_t
find_process(const char *name)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	REQUIRE(dir);
	while ((e = readdir(dir))) {
		char path[300], line[512], *end;
		uint32_t pid;

		if (!parse_u32(e->d_name, &pid))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
		if (read_text_at(AT_FDCWD, path, line, sizeof(line)) < 0)
			continue;
		end = strrchr(line, ')');
		(void)snprintf(path, sizeof(path), "(%s)", name);
		/* A sibling of this agent: a worker. */
		if (end && strstr(line, path) && atoi(end + 4) == getppid())
			found = (pid_t)pid;
	}
	closedir(dir);
	return found;
}

AGENT_TEST(watchable, a_copy_follows_its_source)
{
	struct storage_spec s;
	char events[4096];
	bool is_seen = false;
	int fd;

	publish(b, "src", "..1", "one");
	s = volume(b, "src", "vol");
	REQUIRE(acquire(b, "c1", &s, 1).code == ERROR_OK);
	REQUIRE(has(b, "vol/key", "one"));
	REQUIRE(open(at(b, "vol/new"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600) < 0 && errno == EROFS);
	fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	REQUIRE(fd >= 0 && inotify_add_watch(fd, at(b, "vol"), IN_ALL_EVENTS) >= 0);
	publish(b, "src", "..2", "two");
	UNTIL(b, has(b, "vol/key", "two"));
	for (;;) {
		ssize_t n = read(fd, events, sizeof(events));

		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n;) {
			const struct inotify_event *e = (const void *)(events + i);

			is_seen |= (e->mask & IN_MOVED_TO) && strcmp(e->name, "..data") == 0;
			i += (ssize_t)sizeof(*e) + e->len;
		}
	}
	REQUIRE(is_seen);
	close(fd);
	UNTIL(b, !exists(b, "vol/..1"));
	/* The source is removed, and made anew. */
	drop(b, "src");
	publish(b, "src", "..3", "three");
	UNTIL(b, has(b, "vol/key", "three"));
	REQUIRE(release(b, "c1").code == ERROR_OK);
	REQUIRE(!exists(b, "vol"));
	drop(b, "src");
	UNTIL(b, jobs_running(b->jobs) == 0);
}

AGENT_TEST(watchable, volumes_share_a_worker)
{
	struct storage_spec s[2];

	publish(b, "one", "..1", "a");
	publish(b, "two", "..1", "b");
	s[0] = volume(b, "one", "vol1");
	s[1] = volume(b, "two", "vol2");
	REQUIRE(acquire(b, "c1", &s[0], 1).code == ERROR_OK);
	REQUIRE(acquire(b, "c2", &s[1], 1).code == ERROR_OK);
	REQUIRE(jobs_running(b->jobs) == 1);
	REQUIRE(release(b, "c1").code == ERROR_OK);
	REQUIRE(jobs_running(b->jobs) == 1);
	publish(b, "two", "..2", "c");
	UNTIL(b, has(b, "vol2/key", "c"));
	REQUIRE(release(b, "c2").code == ERROR_OK);
	UNTIL(b, jobs_running(b->jobs) == 0);
	/* Another one begins. */
	REQUIRE(acquire(b, "c3", &s[0], 1).code == ERROR_OK);
	publish(b, "one", "..2", "d");
	UNTIL(b, has(b, "vol1/key", "d"));
	REQUIRE(release(b, "").code == ERROR_OK);
	drop(b, "one");
	drop(b, "two");
	UNTIL(b, jobs_running(b->jobs) == 0);
}

AGENT_TEST(watchable, a_worker_that_dies_is_replaced)
{
	struct storage_spec s;
	pid_t first;

	publish(b, "src", "..1", "one");
	s = volume(b, "src", "vol");
	REQUIRE(acquire(b, "c1", &s, 1).code == ERROR_OK);
	UNTIL(b, find_process("kata-follow") != 0);
	first = find_process("kata-follow");
	REQUIRE(kill(first, SIGKILL) == 0);
	UNTIL(b, find_process("kata-follow") != 0 && find_process("kata-follow") != first);
	publish(b, "src", "..2", "two");
	UNTIL(b, has(b, "vol/key", "two"));
	REQUIRE(release(b, "c1").code == ERROR_OK);
	drop(b, "src");
	UNTIL(b, jobs_running(b->jobs) == 0);
}

/* The worker does not answer at all: its volume can be released nevertheless. */
AGENT_TEST(watchable, a_worker_that_hangs_holds_nothing_up)
{
	struct storage_spec s;
	pid_t pid;

	publish(b, "src", "..1", "one");
	s = volume(b, "src", "vol");
	REQUIRE(acquire(b, "c1", &s, 1).code == ERROR_OK);
	UNTIL(b, find_process("kata-follow") != 0);
	pid = find_process("kata-follow");
	REQUIRE(kill(pid, SIGSTOP) == 0);
	REQUIRE(acquire(b, "c2", &s, 1).code == ERROR_OK);
	REQUIRE(release(b, "c1").code == ERROR_OK);
	REQUIRE(exists(b, "vol/key"));
	REQUIRE(release(b, "c2").code == ERROR_OK);
	REQUIRE(!exists(b, "vol"));
	drop(b, "src");
	UNTIL(b, jobs_running(b->jobs) == 0);
}

/* A volume that does not fit into the tmpfs is bound; so is one whose update would not fit. */
AGENT_TEST(watchable, a_volume_without_room_is_bound)
{
	static const char *const small[] = { "size=64k" };
	struct storage_spec s[2] = { memory(b, "small") };
	char text[4096];

	memset(text, 'x', sizeof(text));
	publish(b, "src", "..1", "one");
	for (int i = 0; i < 12; i++) {
		char name[64];
		auto_close int fd = -1;

		(void)snprintf(name, sizeof(name), "src/..1/%d", i);
		fd = open(at(b, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		REQUIRE(fd >= 0 && write(fd, text, sizeof(text)) == sizeof(text));
	}
	s[0].options = small;
	s[0].n_options = 1;
	s[1] = volume(b, "src", "small/vol");
	REQUIRE(acquire(b, "c1", s, 2).code == ERROR_OK);
	REQUIRE(has(b, "small/vol/key", "one"));
	REQUIRE(jobs_running(b->jobs) == 0);
	/* A bind shows a change at once. */
	put(b, "src/..1/key", "two");
	REQUIRE(has(b, "small/vol/key", "two"));
	REQUIRE(release(b, "").code == ERROR_OK);
	drop(b, "src");
}

/* The copy is cancelled, or its worker killed, at any moment: nothing is left. */
AGENT_TEST(watchable, a_copy_that_is_cancelled_leaves_nothing)
{
	struct storage_spec s;

	REQUIRE(mkdir(at(b, "src"), 0755) == 0);
	for (int i = 0; i < 500; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "src/%d", i);
		put(b, name, "text");
	}
	s = volume(b, "src", "vol");
	for (int round = 0; round < 20; round++) {
		uint64_t end = deadline_in((uint64_t)round * 2);
		struct error err = ERROR_INIT;
		struct result r, gone = { 0 };

		submit(b, "c1", &s, 1, &r);
		while (!deadline_is_over(end))
			REQUIRE(loop_run_once(b->loop, 1, &err) == 0);
		if (r.ended) {
			REQUIRE(r.err.code == ERROR_OK);
			REQUIRE(release(b, "c1").code == ERROR_OK);
		} else {
			storages_abort(r.request, on_done, &gone);
			UNTIL(b, gone.ended);
		}
		REQUIRE(!exists(b, "vol"));
		REQUIRE(storages_count(b->t) == 0);
	}
	drop(b, "src");
	UNTIL(b, jobs_running(b->jobs) == 0);
}

/* The share hangs while the volume is copied for the first time. */
AGENT_TEST(watchable, a_share_that_hangs_stalls_only_its_volume)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	struct result r, gone = { 0 };
	struct storage_spec s, other;
	char options[128], target[128];

	if (fuse < 0) {
		fprintf(stderr, "skipped: no /dev/fuse\n");
		return;
	}
	REQUIRE(mkdir(at(b, "src"), 0755) == 0);
	(void)snprintf(target, sizeof(target), "%s", at(b, "src"));
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	REQUIRE(mount("hangfs", target, "fuse", 0, options) == 0);
	s = volume(b, "src", "vol");
	submit(b, "c1", &s, 1, &r);
	publish(b, "good", "..1", "one");
	other = volume(b, "good", "other");
	REQUIRE(acquire(b, "c2", &other, 1).code == ERROR_OK);
	REQUIRE(has(b, "other/key", "one"));
	REQUIRE(!r.ended);
	storages_abort(r.request, on_done, &gone);
	UNTIL(b, gone.ended);
	REQUIRE(!exists(b, "vol"));
	REQUIRE(release(b, "").code == ERROR_OK);
	UNTIL(b, jobs_running(b->jobs) == 0);
	REQUIRE(umount2(target, MNT_DETACH) == 0);
	close(fuse);
	drop(b, "src");
	drop(b, "good");
}
