/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points: what is made for them goes with them, what was there before stays. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/storage/driver.h"
#include "lib/loop.h"
#include "tests/unit/storage/bench.h"

static struct storage_spec
bind_of(const struct bench *b, const char *from, const char *to)
{
	struct storage_spec s = memory(b, to);
	static char sources[8][128];
	static unsigned int next;
	char *source = sources[next++ % 8];

	(void)snprintf(source, sizeof(sources[0]), "%s", at(b, from));
	s.driver = "bind";
	s.source = source;
	s.fstype = "bind";
	return s;
}

AGENT_TEST(storage_point, directories_made_on_the_way_go_with_the_last_that_needs_them)
{
	struct storage_spec s[3];

	CHECK(mkdir(at(b, "src"), 0755) == 0);
	s[0] = bind_of(b, "src", "x/y/one");
	s[1] = bind_of(b, "src", "x/y/two");
	s[2] = bind_of(b, "src", "x/z");
	/* whatever the order in which they go */
	for (int round = 0; round < 8; round++) {
		CHECK(acquire(b, "all", s, 3).code == ERROR_OK);
		CHECK(release(b, "all").code == ERROR_OK);
		CHECK(!exists(b, "x"));
	}
	CHECK(acquire(b, "one", &s[0], 1).code == ERROR_OK);
	CHECK(acquire(b, "two", &s[1], 1).code == ERROR_OK);
	CHECK(acquire(b, "three", &s[2], 1).code == ERROR_OK);
	CHECK(release(b, "one").code == ERROR_OK);
	CHECK(exists(b, "x/y") && !exists(b, "x/y/one"));
	CHECK(release(b, "two").code == ERROR_OK);
	CHECK(exists(b, "x") && !exists(b, "x/y"));
	CHECK(release(b, "three").code == ERROR_OK);
	CHECK(!exists(b, "x"));
	CHECK(rmdir(at(b, "src")) == 0);
}

/* The undo of a mount that failed must not reach through a link that the mount itself is not allowed to follow. */
AGENT_TEST(storage_point, what_lies_behind_a_magic_link_is_left_alone)
{
	struct storage_spec s = memory(b, "file");
	char path[192];

	put_file(b, "file");
	(void)snprintf(path, sizeof(path), "/proc/self/root%s", at(b, "file"));
	s.mount_point = path;
	CHECK(acquire(b, "one", &s, 1).code != ERROR_OK);
	CHECK(exists(b, "file"));
	CHECK(unlink(at(b, "file")) == 0);
}

AGENT_TEST(storage_point, a_link_at_the_mount_point_is_left_alone)
{
	struct storage_spec s = memory(b, "link");
	struct stat st;

	CHECK(symlink("nowhere", at(b, "link")) == 0);
	CHECK(acquire(b, "one", &s, 1).code != ERROR_OK);
	CHECK(lstat(at(b, "link"), &st) == 0);
	CHECK(unlink(at(b, "link")) == 0);
}

/* A socket's name stands in for the node of a disk that the kernel is still about to add: opening either fails with ENXIO. */
AGENT_TEST(storage_point, a_disk_that_is_not_live_yet_is_waited_for)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), status;
	uint64_t since;
	pid_t pid;

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", at(b, "disk"));
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
	CHECK(close(fd) == 0);
	since = monotonic_ns();
	pid = fork();
	if (pid == 0) {
		(void)usleep(50000);
		put_file(b, "new");
		_exit(rename(at(b, "new"), at(b, "disk")) == 0 ? 0 : 1);
	}
	storage_await_disk(&b->roots, at(b, "disk"));
	CHECK(monotonic_ns() - since >= 50000000);
	fd = open(at(b, "disk"), O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && close(fd) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	/* what is not there at all is not */
	since = monotonic_ns();
	CHECK(unlink(at(b, "disk")) == 0);
	storage_await_disk(&b->roots, at(b, "disk"));
	CHECK(monotonic_ns() - since < 1000000000);
}

AGENT_TEST(storage_point, a_mount_that_was_there_before_stays)
{
	struct storage_spec s;
	struct result r;

	CHECK(mkdir(at(b, "v"), 0755) == 0);
	CHECK(mount("before", at(b, "v"), "tmpfs", 0, NULL) == 0);
	put_file(b, "v/before");
	/* one that fails, one that is cancelled, one that comes and goes */
	s = memory(b, "v");
	s.fstype = "nosuchfs";
	CHECK(acquire(b, "one", &s, 1).code != ERROR_OK);
	CHECK(exists(b, "v/before"));
	make_gate(b, "v");
	s = gate(b, "v");
	submit(b, "one", &s, 1, &r);
	UNTIL(b, jobs_running(b->jobs) == 1);
	storages_cancel(r.request);
	UNTIL(b, storages_count(b->t) == 0);
	CHECK(exists(b, "v/before"));
	s = memory(b, "v");
	CHECK(acquire(b, "", &s, 1).code == ERROR_OK);
	CHECK(!exists(b, "v/before") && mounts_at(b, "v") == 2);
	CHECK(release(b, "").code == ERROR_OK);
	CHECK(exists(b, "v/before"));
	CHECK(umount2(at(b, "v"), MNT_DETACH) == 0 && rmdir(at(b, "v")) == 0);
}

AGENT_TEST(storage_point, what_was_mounted_upon_it_is_undone)
{
	static const char *const options[] = { "nosuchoption=1" };
	struct storage_spec s;

	CHECK(mkdir(at(b, "a b"), 0755) == 0);
	CHECK(mount("before", at(b, "a b"), "tmpfs", 0, NULL) == 0);
	put_file(b, "a b/before");
	/* mounted, and only then it fails: no such group of a file system that is read-only */
	s = memory(b, "a b");
	s.options = options;
	s.n_options = 1;
	CHECK(acquire(b, "one", &s, 1).code != ERROR_OK);
	CHECK(exists(b, "a b/before") && mounts_at(b, "a b") == 1);
	static const char *const readonly[] = { "ro" };

	s.options = readonly;
	s.has_fs_group = true;
	s.fs_group_id = 77;
	CHECK(acquire(b, "one", &s, 1).code != ERROR_OK);
	CHECK(exists(b, "a b/before") && mounts_at(b, "a b") == 1);
	CHECK(umount2(at(b, "a b"), MNT_DETACH) == 0 && rmdir(at(b, "a b")) == 0);
}

AGENT_TEST(storage_point, a_file_is_bound_to_a_file)
{
	struct storage_spec s;

	put_file(b, "file");
	s = bind_of(b, "file", "to/file");
	CHECK(acquire(b, "one", &s, 1).code == ERROR_OK);
	CHECK(mounts_at(b, "to/file") == 1);
	CHECK(release(b, "one").code == ERROR_OK);
	CHECK(!exists(b, "to"));
	s = bind_of(b, "missing", "to/file");
	struct error err = acquire(b, "one", &s, 1);

	CHECK(strstr(err.msg, s.source) && strstr(err.msg, "No such file"));
	UNTIL(b, storages_count(b->t) == 0);
	CHECK(!exists(b, "to"));
	CHECK(unlink(at(b, "file")) == 0);
}
