/* SPDX-License-Identifier: Apache-2.0 */
/* Confined paths: no file outside the root is accessed, whatever links the tree contains. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/cleanup.h"
#include "lib/path.h"
#include "tests/support/check.h"

struct tree {
	char dir[64];
	/* dir/root, the confined tree. */
	int root;
	/* dir/outside, the canary. */
	int outside;
};

static void
tree_make(struct tree *t)
{
	int dir;

	strcpy(t->dir, "/tmp/test-path-XXXXXX");
	REQUIRE(mkdtemp(t->dir));
	dir = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_EQ(mkdirat(dir, "root", 0755), 0);
	REQUIRE_EQ(mkdirat(dir, "outside", 0755), 0);
	t->root = openat(dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->outside = openat(dir, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(dir);
}

static void
tree_end(struct tree *t)
{
	struct error err = ERROR_INIT;
	struct stat st;

	REQUIRE_EQ(fstat(t->outside, &st), 0);
	REQUIRE_EQ(st.st_nlink, 2, "a directory was made outside");
	close(t->root);
	close(t->outside);
	REQUIRE_OK(path_remove_tree(AT_FDCWD, t->dir, &err), &err);
}

static bool
outside_has(const struct tree *t, const char *name)
{
	return faccessat(t->outside, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(path, links_to_the_outside_stay_inside)
{
	static const char *const links[] = { "../outside", "/../outside", "/etc",
					     "../../../../../../etc", "../../.." };
	struct tree t;
	struct error err = ERROR_INIT;

	tree_make(&t);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char name[16];
		int fd;

		snprintf(name, sizeof(name), "link%zu/evil", i);
		*strchr(name, '/') = '\0';
		REQUIRE_EQ(symlinkat(links[i], t.root, name), 0);
		name[strlen(name)] = '/';
		fd = path_make_target(t.root, name, false, 0644, &err);
		if (fd >= 0)
			close(fd);
		fd = path_mkdir_all(t.root, name, 0755, (uid_t)-1, (gid_t)-1, &err);
		if (fd >= 0)
			close(fd);
		CHECK(!outside_has(&t, "evil"), "through %s", links[i]);
	}
	REQUIRE_NE(access("/etc/evil", F_OK), 0);
	tree_end(&t);
}

Test(path, follow_modes)
{
	struct tree t;
	struct error err = ERROR_INIT;
	int fd;

	tree_make(&t);
	REQUIRE_EQ(mkdirat(t.root, "d", 0755), 0);
	fd = path_open(t.root, "d/f", O_CREAT | O_WRONLY, 0600, PATH_FOLLOW_ALL, &err);
	REQUIRE_GE(fd, 0, "%s", err.msg);
	close(fd);
	REQUIRE_EQ(symlinkat("/d", t.root, "l"), 0);
	fd = path_open(t.root, "/l/f", O_RDONLY, 0, PATH_FOLLOW_ALL, &err);
	REQUIRE_GE(fd, 0, "absolute links are resolved inside: %s", err.msg);
	close(fd);
	REQUIRE_LT(path_open(t.root, "l/f", O_RDONLY, 0, PATH_FOLLOW_NONE, &err), 0);
	REQUIRE_EQ(err.errnum, ELOOP);
	REQUIRE_LT(path_open(t.root, "l", O_RDONLY, 0, PATH_FOLLOW_PARENT, &err), 0);
	REQUIRE_HAS(err.msg, "failed to open l");
	tree_end(&t);
}

Test(path, magic_links_are_refused)
{
	auto_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	REQUIRE_LT(path_open(proc, "self/root/etc", O_RDONLY, 0, PATH_FOLLOW_ALL, &err), 0);
	REQUIRE_LT(path_open(proc, "self/cwd", O_RDONLY, 0, PATH_FOLLOW_ALL, &err), 0);
}

Test(path, an_existing_file_is_not_truncated)
{
	struct tree t;
	struct error err = ERROR_INIT;
	struct stat st;
	int fd;

	tree_make(&t);
	fd = openat(t.root, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	REQUIRE_EQ(write(fd, "data", 4), 4);
	close(fd);
	fd = path_make_target(t.root, "/f", false, 0644, &err);
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(fstat(fd, &st), 0);
	REQUIRE_EQ(st.st_size, 4);
	close(fd);
	tree_end(&t);
}

Test(path, a_dangling_link_is_no_target)
{
	struct tree t;
	struct error err = ERROR_INIT;

	tree_make(&t);
	REQUIRE_EQ(symlinkat("../outside/new", t.root, "l"), 0);
	REQUIRE_LT(path_make_target(t.root, "l", false, 0644, &err), 0);
	REQUIRE(!outside_has(&t, "new"));
	tree_end(&t);
}

Test(path, odd_names)
{
	static const char *const bad[] = { "", "/", ".", "a/..", "//", "..", "a/." };
	struct tree t;
	struct error err = ERROR_INIT;
	char name[NAME_MAX + 1], big[PATH_MAX + 10];

	tree_make(&t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_LT(path_open_parent(t.root, bad[i], false, 0, name, &err), 0, "\"%s\"",
			 bad[i]);
	memset(big, 'a', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	CHECK_LT(path_open_parent(t.root, big, true, 0755, name, &err), 0);
	CHECK_LT(path_mkdir_all(t.root, big, 0755, (uid_t)-1, (gid_t)-1, &err), 0);
	tree_end(&t);
}

Test(path, remove_tree_is_deep_and_keeps_to_itself)
{
	struct tree t;
	struct error err = ERROR_INIT;
	int fd, next;

	tree_make(&t);
	fd = openat(t.outside, "keep", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	REQUIRE_EQ(mkdirat(t.root, "top", 0755), 0);
	fd = openat(t.root, "top", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 600; i++) {
		REQUIRE_EQ(mkdirat(fd, "d", 0755), 0);
		REQUIRE_EQ(symlinkat("../../../outside", fd, "link"), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	REQUIRE_OK(path_remove_tree(t.root, "top", &err), &err);
	REQUIRE_NE(faccessat(t.root, "top", F_OK, 0), 0);
	REQUIRE(outside_has(&t, "keep"));
	REQUIRE_EQ(path_remove_tree(t.root, "top", &err), 0, "what is gone is removed");
	REQUIRE_EQ(unlinkat(t.outside, "keep", 0), 0);
	tree_end(&t);
}

static int
count_entry(int dirfd, const char *name, const struct stat *st, void *data, struct error *err)
{
	(void)dirfd;
	(void)name;
	(void)st;
	(void)err;
	++*(int *)data;
	return 0;
}

Test(path, walk_sees_each_entry_once_and_follows_nothing)
{
	struct tree t;
	struct error err = ERROR_INIT;
	int n = 0;

	tree_make(&t);
	REQUIRE_EQ(mkdirat(t.root, "a", 0755), 0);
	REQUIRE_EQ(mkdirat(t.root, "a/b", 0755), 0);
	REQUIRE_EQ(symlinkat("/", t.root, "a/b/l"), 0);
	REQUIRE_OK(path_walk(t.root, count_entry, &n, &err), &err);
	REQUIRE_EQ(n, 4);
	tree_end(&t);
}

/* Expects path_open_trusted() to find the inode of `want`, or to fail with an errno. */
static void
expect_trusted(const struct tree *t, const char *path, const char *want, int errnum)
{
	auto_close int fd = path_open_trusted(t->root, path);
	int saved = errno;
	struct stat a, b;

	if (errnum) {
		CHECK(fd < 0 && saved == errnum, "%s: %d %s", path, fd, strerror(saved));
		return;
	}
	REQUIRE_GE(fd, 0, "%s: %s", path, strerror(saved));
	REQUIRE(fstat(fd, &a) == 0 && fstatat(t->root, want, &b, 0) == 0);
	CHECK(a.st_dev == b.st_dev && a.st_ino == b.st_ino, "%s", path);
}

Test(path, links_are_followed_only_where_no_container_can_make_them)
{
	struct tree t;
	char path[128];

	if (geteuid() != 0)
		cr_skip_test("needs root");
	REQUIRE(unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	tree_make(&t);
	REQUIRE(mkdirat(t.root, "dir", 0755) == 0 && mkdirat(t.root, "dir/sub", 0755) == 0);
	REQUIRE_EQ(mkdirat(t.root, "volume", 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/root/volume", t.dir);
	REQUIRE_EQ(mount("volume", path, "tmpfs", 0, NULL), 0);
	REQUIRE_EQ(mkdirat(t.root, "volume/own", 0755), 0);
	REQUIRE_EQ(symlinkat("dir", t.root, "relative"), 0);
	REQUIRE_EQ(symlinkat("/dir/../relative", t.root, "absolute"), 0);
	REQUIRE_EQ(symlinkat("../../../dir", t.root, "dir/above"), 0);
	REQUIRE_EQ(symlinkat("volume/own", t.root, "into"), 0);
	REQUIRE_EQ(symlinkat("loop", t.root, "loop"), 0);
	REQUIRE_EQ(symlinkat("missing", t.root, "dangling"), 0);
	REQUIRE_EQ(symlinkat("own", t.root, "volume/inside"), 0);
	REQUIRE_EQ(symlinkat("../dir", t.root, "volume/out"), 0);
	REQUIRE_EQ(symlinkat("/proc/self/root", t.root, "magic"), 0);
	expect_trusted(&t, "dir/sub", "dir/sub", 0);
	expect_trusted(&t, "/relative/sub", "dir/sub", 0);
	expect_trusted(&t, "absolute//sub/.", "dir/sub", 0);
	expect_trusted(&t, "dir/above/sub/..", "dir", 0);
	expect_trusted(&t, "into", "volume/own", 0);
	expect_trusted(&t, "volume/own", "volume/own", 0);
	expect_trusted(&t, "volume/inside", NULL, ELOOP);
	expect_trusted(&t, "volume/out/sub", NULL, ELOOP);
	expect_trusted(&t, "volume/own/../out", NULL, ELOOP);
	expect_trusted(&t, "loop", NULL, ELOOP);
	expect_trusted(&t, "dangling", NULL, ENOENT);
	expect_trusted(&t, "relative/missing", NULL, ENOENT);
	expect_trusted(&t, "magic/etc", NULL, ENOENT);
	REQUIRE_EQ(umount2(path, 0), 0);
	tree_end(&t);
}
