/* SPDX-License-Identifier: Apache-2.0 */
/* Mount points: what is made for them goes with them, what was there before stays. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/storage/driver.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/unit/agent/storage/bench.h"

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

	REQUIRE_EQ(mkdir(at(b, "src"), 0755), 0);
	s[0] = bind_of(b, "src", "x/y/one");
	s[1] = bind_of(b, "src", "x/y/two");
	s[2] = bind_of(b, "src", "x/z");
	/* whatever the order in which they go */
	for (int round = 0; round < 8; round++) {
		REQUIRE_EQ(acquire(b, "all", s, 3).code, ERROR_OK);
		REQUIRE_EQ(release(b, "all").code, ERROR_OK);
		REQUIRE(!exists(b, "x"));
	}
	REQUIRE_EQ(acquire(b, "one", &s[0], 1).code, ERROR_OK);
	REQUIRE_EQ(acquire(b, "two", &s[1], 1).code, ERROR_OK);
	REQUIRE_EQ(acquire(b, "three", &s[2], 1).code, ERROR_OK);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE(exists(b, "x/y") && !exists(b, "x/y/one"));
	REQUIRE_EQ(release(b, "two").code, ERROR_OK);
	REQUIRE(exists(b, "x") && !exists(b, "x/y"));
	REQUIRE_EQ(release(b, "three").code, ERROR_OK);
	REQUIRE(!exists(b, "x"));
	REQUIRE_EQ(rmdir(at(b, "src")), 0);
}

/* The undo of a mount that failed must not reach through a link that the mount itself is not
 * allowed to follow. */
AGENT_TEST(storage_point, what_lies_behind_a_magic_link_is_left_alone)
{
	struct storage_spec s = memory(b, "file");
	char path[192];

	put_file(b, "file");
	(void)snprintf(path, sizeof(path), "/proc/self/root%s", at(b, "file"));
	s.mount_point = path;
	REQUIRE_NE(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(exists(b, "file"));
	REQUIRE_EQ(unlink(at(b, "file")), 0);
}

AGENT_TEST(storage_point, a_link_at_the_mount_point_is_left_alone)
{
	struct storage_spec s = memory(b, "link");
	struct stat st;

	REQUIRE_EQ(symlink("nowhere", at(b, "link")), 0);
	REQUIRE_NE(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE_EQ(lstat(at(b, "link"), &st), 0);
	REQUIRE_EQ(unlink(at(b, "link")), 0);
}

/* Calls of poll(), and what the next ones do first. */
static int polls;
static void (*before_poll)(const struct bench *b);
static const struct bench *poll_bench;

/* Takes the place of the C library's: the wait for a disk. */
int
poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec limit = { .tv_sec = timeout_ms / 1000,
				  .tv_nsec = timeout_ms % 1000 * 1000000L };

	polls++;
	if (before_poll)
		before_poll(poll_bench);
	return ppoll(fds, n, timeout_ms < 0 ? NULL : &limit, NULL);
}

/* Binds a socket, whose name stands in for the node of a disk that the kernel is still about to
 * add: opening either fails with ENXIO. */
static void
put_dead_disk(const struct bench *b)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", at(b, "disk"));
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	REQUIRE_EQ(close(fd), 0);
}

/* Sends what every listener takes for a uevent. */
static void
send_uevent(void)
{
	struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(sendto(fd, "add@/x", 7, 0, (struct sockaddr *)&all, sizeof(all)), 7);
	REQUIRE_EQ(close(fd), 0);
}

/* The first event is another device's. */
static void
announce_disk(const struct bench *b)
{
	if (polls == 2) {
		put_file(b, "new");
		REQUIRE_EQ(rename(at(b, "new"), at(b, "disk")), 0);
	}
	send_uevent();
}

AGENT_TEST(storage_point, a_disk_that_is_not_live_yet_is_waited_for)
{
	int fd;

	put_dead_disk(b);
	polls = 0;
	before_poll = announce_disk;
	poll_bench = b;
	storage_await_disk(&b->roots, at(b, "disk"));
	before_poll = NULL;
	REQUIRE_EQ(polls, 2);
	fd = open(at(b, "disk"), O_RDONLY | O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(close(fd), 0);
	/* a missing disk is not waited for */
	REQUIRE_EQ(unlink(at(b, "disk")), 0);
	storage_await_disk(&b->roots, at(b, "disk"));
	REQUIRE_EQ(polls, 2);
}

/* A path that the host names is not opened through a link that a container may have made:
 * opening some devices has effects. */
AGENT_TEST(storage_point, no_disk_is_awaited_through_a_link_of_a_volume)
{
	REQUIRE_EQ(mkdir(at(b, "volume"), 0755), 0);
	REQUIRE_EQ(mount("volume", at(b, "volume"), "tmpfs", 0, NULL), 0);
	put_dead_disk(b);
	REQUIRE_EQ(symlink(at(b, "disk"), at(b, "volume/link")), 0);
	polls = 0;
	/* until it times out */
	storage_await_disk(&b->roots, at(b, "disk"));
	REQUIRE_GE(polls, 1);
	polls = 0;
	storage_await_disk(&b->roots, at(b, "volume/link"));
	REQUIRE_EQ(polls, 0);
	REQUIRE_EQ(unlink(at(b, "disk")), 0);
	REQUIRE_EQ(umount2(at(b, "volume"), 0), 0);
	REQUIRE_EQ(rmdir(at(b, "volume")), 0);
}

AGENT_TEST(storage_point, a_mount_that_was_there_before_stays)
{
	struct storage_spec s;
	struct result r;

	REQUIRE_EQ(mkdir(at(b, "v"), 0755), 0);
	REQUIRE_EQ(mount("before", at(b, "v"), "tmpfs", 0, NULL), 0);
	put_file(b, "v/before");
	/* one that fails, one that is cancelled, one that comes and goes */
	s = memory(b, "v");
	s.fstype = "nosuchfs";
	REQUIRE_NE(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(exists(b, "v/before"));
	make_gate(b, "v");
	s = gate(b, "v");
	submit(b, "one", &s, 1, &r);
	UNTIL(b, jobs_running(b->jobs) == 1);
	storages_abort(r.request, NULL, NULL);
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(exists(b, "v/before"));
	s = memory(b, "v");
	REQUIRE_EQ(acquire(b, "", &s, 1).code, ERROR_OK);
	REQUIRE(!exists(b, "v/before"));
	REQUIRE_EQ(mounts_at(b, "v"), 2);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	REQUIRE(exists(b, "v/before"));
	REQUIRE_EQ(umount2(at(b, "v"), MNT_DETACH), 0);
	REQUIRE_EQ(rmdir(at(b, "v")), 0);
}

AGENT_TEST(storage_point, what_was_mounted_upon_it_is_undone)
{
	static const char *const options[] = { "nosuchoption=1" };
	struct storage_spec s;

	REQUIRE_EQ(mkdir(at(b, "a b"), 0755), 0);
	REQUIRE_EQ(mount("before", at(b, "a b"), "tmpfs", 0, NULL), 0);
	put_file(b, "a b/before");
	s = memory(b, "a b");
	s.options = options;
	s.n_options = 1;
	REQUIRE_NE(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(exists(b, "a b/before"));
	REQUIRE_EQ(mounts_at(b, "a b"), 1);
	/* mounted, and only then it fails: nothing changes its group on a file system that is
	 * read-only */
	static const char *const readonly[] = { "ro", "fsgid=77" };

	s.options = readonly;
	s.n_options = 2;
	REQUIRE_HAS(acquire(b, "one", &s, 1).msg, "group of ");
	REQUIRE(exists(b, "a b/before"));
	REQUIRE_EQ(mounts_at(b, "a b"), 1);
	REQUIRE_EQ(umount2(at(b, "a b"), MNT_DETACH), 0);
	REQUIRE_EQ(rmdir(at(b, "a b")), 0);
}

/* Does the file have this mode and the test's group? Links are not followed. */
static bool
is_given(const struct bench *b, const char *name, mode_t mode, gid_t gid)
{
	struct stat st;

	REQUIRE_EQ(lstat(at(b, name), &st), 0);
	if ((st.st_mode & 07777) == mode && st.st_gid == gid)
		return true;
	fprintf(stderr, "%s: %o, group %u\n", name, st.st_mode & 07777, st.st_gid);
	return false;
}

/* A volume in memory is open to all users of the pod, unless the host gives a mode. */
AGENT_TEST(storage_point, a_volume_in_memory_is_open_to_all)
{
	static const char *const options[] = { "size=1m,mode=1770", "fsgid=77" };
	struct storage_spec s = memory(b, "v");

	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "v", 0777, 0));
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	s = memory(b, "group");
	s.options = options + 1;
	s.n_options = 1;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "group", 02777, 77));
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	s = memory(b, "mode");
	s.options = options;
	s.n_options = 1;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "mode", 01770, 0));
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
}

/* A file system may be read-only without the option "ro". */
AGENT_TEST(storage_point, a_read_only_volume_keeps_its_group)
{
	struct storage_spec s;

	REQUIRE_EQ(mkdir(at(b, "v"), 0755), 0);
	REQUIRE_EQ(mount("tmpfs", at(b, "v"), "tmpfs", 0, "mode=0755"), 0);
	put_file(b, "v/file");
	REQUIRE_EQ(chmod(at(b, "v/file"), 0600), 0);
	REQUIRE_EQ(mount(NULL, at(b, "v"), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	s = bind_of(b, "v", "at");
	s.has_fs_group = true;
	s.fs_group_id = 77;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "at", 0755, 0) && is_given(b, "at/file", 0600, 0));
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(umount2(at(b, "v"), 0), 0);
	REQUIRE_EQ(rmdir(at(b, "v")), 0);
}

/* All files of a volume get the group, but no targets of links. */
AGENT_TEST(storage_point, a_volume_is_given_to_its_group)
{
	static const char *const readonly[] = { "ro" };
	static const char *const made[] = { "v/file", "v/sub/tool", "out/file" };
	struct storage_spec s;

	REQUIRE_EQ(mkdir(at(b, "v"), 0755), 0);
	REQUIRE_EQ(mkdir(at(b, "v/sub"), 0700), 0);
	REQUIRE_EQ(mkdir(at(b, "out"), 0700), 0);
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		put_file(b, made[i]);
	REQUIRE_EQ(chmod(at(b, "v/file"), 0600), 0);
	REQUIRE_EQ(chmod(at(b, "v/sub/tool"), 0755), 0);
	REQUIRE_EQ(chmod(at(b, "out/file"), 0600), 0);
	REQUIRE_EQ(symlink("../out", at(b, "v/directory")), 0);
	REQUIRE_EQ(symlink("../out/file", at(b, "v/link")), 0);
	s = bind_of(b, "v", "at");
	s.has_fs_group = true;
	s.fs_group_id = 77;
	/* read-only: not at all */
	s.options = readonly;
	s.n_options = 1;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "at", 0755, 0) && is_given(b, "at/file", 0600, 0));
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	s.n_options = 0;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "v", 02775, 77) && is_given(b, "v/file", 0660, 77));
	REQUIRE(is_given(b, "v/sub", 02770, 77) && is_given(b, "v/sub/tool", 0775, 77));
	REQUIRE(is_given(b, "v/link", 0777, 0) && is_given(b, "v/directory", 0777, 0));
	REQUIRE(is_given(b, "out", 0700, 0) && is_given(b, "out/file", 0600, 0));
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	/* OnRootMismatch: the root says that all is done; Always does not ask it */
	REQUIRE_EQ(chmod(at(b, "v/file"), 0600), 0);
	s.fs_group_policy = FS_GROUP_ON_ROOT_MISMATCH;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "v/file", 0600, 77));
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	s.fs_group_policy = FS_GROUP_ALWAYS;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "v/file", 0660, 77));
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(chmod(at(b, "v"), 0755), 0);
	REQUIRE_EQ(chmod(at(b, "v/file"), 0600), 0);
	s.fs_group_policy = FS_GROUP_ON_ROOT_MISMATCH;
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE(is_given(b, "v/file", 0660, 77));
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(unlink(at(b, "v/link")), 0);
	REQUIRE_EQ(unlink(at(b, "v/directory")), 0);
	for (size_t i = 0; i < ARRAY_LEN(made); i++)
		REQUIRE_EQ(unlink(at(b, made[i])), 0);
	REQUIRE_EQ(rmdir(at(b, "v/sub")), 0);
	REQUIRE_EQ(rmdir(at(b, "v")), 0);
	REQUIRE_EQ(rmdir(at(b, "out")), 0);
}

AGENT_TEST(storage_point, a_file_is_bound_to_a_file)
{
	struct storage_spec s;

	put_file(b, "file");
	s = bind_of(b, "file", "to/file");
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "to/file"), 1);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE(!exists(b, "to"));
	s = bind_of(b, "missing", "to/file");
	struct error err = acquire(b, "one", &s, 1);

	REQUIRE_HAS(err.msg, s.source);
	REQUIRE_HAS(err.msg, "No such file");
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(!exists(b, "to"));
	REQUIRE_EQ(unlink(at(b, "file")), 0);
}
