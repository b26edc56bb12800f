/* SPDX-License-Identifier: Apache-2.0 */
/* The execution of orders on a real directory, with symlinks, mounts and other obstacles in it. */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/cleanup.h"
#include "lib/error.h"
#include "tests/support/check.h"
#include "tests/unit/agent/files/tree.h"

#define FILE_ (S_IFREG | 0640)

Test(files_place, files_directories_and_links)
{
	struct copy_result r;
	char target[32] = "";
	struct tree t;

	tree_make(&t);
	CHECK_EQ(tree_put(&t, "f", S_IFREG | 04751, "one", &r), ERROR_OK, "%s", r.err.msg);
	CHECK(tree_has(&t, "f", "one"));
	CHECK_EQ(tree_mode(&t, "f"), S_IFREG | 04751);
	CHECK_EQ(tree_put(&t, "f", FILE_, "", &r), ERROR_OK, "%s", r.err.msg);
	CHECK(tree_has(&t, "f", ""));
	CHECK_EQ(tree_put(&t, "d", S_IFDIR | 02711, "", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_mode(&t, "d"), S_IFDIR | 02711);
	/* an existing directory keeps its entries */
	CHECK_EQ(tree_put(&t, "d/f", FILE_, "in it", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_put(&t, "d", S_IFDIR | 0700, "", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_mode(&t, "d"), S_IFDIR | 0700);
	CHECK(tree_has(&t, "d/f", "in it"));
	/* a link's target is not interpreted */
	CHECK_EQ(tree_put(&t, "l", S_IFLNK | 0777, "../no/such", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(readlinkat(t.shared, "l", target, sizeof(target)), 10);
	CHECK_STR(target, "../no/such");
	CHECK_EQ(tree_names(&t, "."), 3);
	tree_end(&t);
}

Test(files_place, missing_parents_get_mode_and_owner)
{
	struct copy_order o = { .act = COPY_WRITE, .first = true, .last = true, .mode = 0600 };
	struct copy_result r;
	struct stat st;
	struct tree t;

	tree_make(&t);
	o.uid = geteuid() == 0 ? 1234 : UINT32_MAX;
	o.gid = geteuid() == 0 ? 2345 : UINT32_MAX;
	o.dir_mode = 0710;
	REQUIRE_EQ(mkdirat(t.shared, "old", 0705), 0);
	REQUIRE_EQ(fchmodat(t.shared, "old", 0705, 0), 0);
	strcpy(o.path, "old/a/b/f");
	CHECK_EQ(tree_place(&t, &o, "", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(r.made, 2);
	CHECK_EQ(tree_mode(&t, "old"), S_IFDIR | 0705);
	CHECK_EQ(tree_mode(&t, "old/a"), S_IFDIR | 0710);
	CHECK_EQ(tree_mode(&t, "old/a/b"), S_IFDIR | 0710);
	for (int i = 0; geteuid() == 0 && i < 4; i++) {
		static const char *const paths[] = { "old", "old/a", "old/a/b", "old/a/b/f" };

		REQUIRE_EQ(fstatat(t.shared, paths[i], &st, 0), 0);
		CHECK_EQ(st.st_uid, i ? 1234 : 0, "%s", paths[i]);
		CHECK_EQ(st.st_gid, i ? 2345 : 0, "%s", paths[i]);
	}
	tree_end(&t);
}

Test(files_place, no_symlink_is_followed)
{
	static const char *const paths[] = { "out/evil", "out/sub/evil", "back/out/evil", "out/sub",
					     "chain/evil" };
	struct copy_result r;
	struct tree t;

	tree_make(&t);
	REQUIRE_EQ(symlinkat("../../../outside", t.shared, "out"), 0);
	REQUIRE_EQ(symlinkat(".", t.shared, "back"), 0);
	REQUIRE_EQ(symlinkat("out", t.shared, "chain"), 0);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		static const uint32_t modes[] = { FILE_, S_IFDIR | 0777, S_IFLNK };

		for (size_t k = 0; k < ARRAY_LEN(modes); k++) {
			enum error_code code = tree_put(&t, paths[i], modes[k], "evil", &r);

			CHECK_EQ(code, ERROR_PERMISSION_DENIED, "%s: %d %s", paths[i], code,
				 r.err.msg);
			CHECK_HAS(r.err.msg, "symlink");
		}
	}
	/* a symlink that is the target itself is replaced */
	REQUIRE_EQ(symlinkat("../../../outside/f", t.shared, "leaf"), 0);
	CHECK_EQ(tree_put(&t, "leaf", FILE_, "new", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_mode(&t, "leaf"), FILE_);
	CHECK_EQ(tree_put(&t, "out", S_IFLNK, "elsewhere", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_put(&t, "chain", S_IFDIR | 0755, "", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_mode(&t, "chain"), S_IFDIR | 0755);
	CHECK_EQ(tree_temps(&t, "."), 0);
	tree_end(&t);
}

Test(files_place, entry_of_another_type_is_replaced)
{
	static const uint32_t modes[] = { FILE_, S_IFDIR | 0755, S_IFLNK | 0777 };
	struct copy_result r;
	struct tree t;

	tree_make(&t);
	for (size_t i = 0; i < ARRAY_LEN(modes) * ARRAY_LEN(modes); i++) {
		uint32_t from = modes[i / ARRAY_LEN(modes)], to = modes[i % ARRAY_LEN(modes)];
		char name[16];

		(void)snprintf(name, sizeof(name), "x%zu", i);
		REQUIRE_EQ(tree_put(&t, name, from, "old", &r), ERROR_OK, "%s", r.err.msg);
		if (S_ISDIR(from))
			REQUIRE_EQ(mkdirat(tree_mode(&t, name) ? t.shared : -1, "in", 0755), 0);
		if (S_ISDIR(from))
			REQUIRE_EQ(renameat(t.shared, "in", openat(t.shared, name, O_PATH), "in"),
				   0);
		CHECK_EQ(tree_put(&t, name, to, "new", &r), ERROR_OK, "%o to %o: %s", from, to,
			 r.err.msg);
		CHECK_EQ(tree_mode(&t, name) & S_IFMT, to & S_IFMT);
	}
	CHECK_EQ(tree_temps(&t, "."), 0);
	/* other types */
	REQUIRE_EQ(mknodat(t.shared, "fifo", S_IFIFO | 0600, 0), 0);
	CHECK_EQ(tree_put(&t, "fifo", FILE_, "new", &r), ERROR_OK, "%s", r.err.msg);
	CHECK(tree_has(&t, "fifo", "new"));
	REQUIRE_EQ(mknodat(t.shared, "fifo2", S_IFIFO | 0600, 0), 0);
	CHECK_EQ(tree_put(&t, "fifo2", S_IFDIR | 0755, "", &r), ERROR_OK, "%s", r.err.msg);
	tree_end(&t);
}

/* Many levels with many entries each. */
Test(files_place, huge_tree_is_replaced, .timeout = 120)
{
	struct rlimit files = { 8192, 8192 };
	struct copy_result r;
	int levels = 2000, at;
	struct tree t;

	tree_make(&t);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		levels = 500;
	REQUIRE_EQ(mkdirat(t.shared, "deep", 0755), 0);
	at = openat(t.shared, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < levels; i++) {
		int next;

		REQUIRE_EQ(mkdirat(at, "d", 0755), 0);
		next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		REQUIRE_GE(next, 0);
		for (int k = 0; k < 10; k++) {
			char name[16];

			(void)snprintf(name, sizeof(name), "f%d", k);
			REQUIRE_EQ(mknodat(at, name, S_IFREG | 0600, 0), 0);
		}
		close(at);
		at = next;
	}
	close(at);
	CHECK_EQ(tree_put(&t, "deep", FILE_, "flat", &r), ERROR_OK, "%s", r.err.msg);
	CHECK(tree_has(&t, "deep", "flat"));
	CHECK_EQ(tree_names(&t, "."), 1);
	tree_end(&t);
}

Test(files_place, directory_with_a_mount_is_not_replaced)
{
	struct copy_result r;
	char path[128];
	struct tree t;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	REQUIRE_EQ(unshare(CLONE_NEWNS), 0);
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	tree_make(&t);
	REQUIRE_EQ(tree_put(&t, "d/sub/f", FILE_, "old", &r), ERROR_OK, "%s", r.err.msg);
	REQUIRE_EQ(mkdirat(t.shared, "d/sub/m", 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/run/shared/containers/d/sub/m", t.dir);
	REQUIRE_EQ(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
	REQUIRE_EQ(tree_put(&t, "d/sub/m/f", FILE_, "mounted", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_put(&t, "d", FILE_, "new", &r), ERROR_FAILED_PRECONDITION);
	CHECK_HAS(r.err.msg, path);
	CHECK(tree_has(&t, "d/sub/f", "old"));
	CHECK(tree_has(&t, "d/sub/m/f", "mounted"));
	CHECK_EQ(tree_put(&t, "d/sub/m", FILE_, "new", &r), ERROR_FAILED_PRECONDITION);
	CHECK_EQ(tree_temps(&t, "."), 0);
	CHECK_EQ(tree_temps(&t, "d/sub"), 0);
	REQUIRE_EQ(umount(path), 0);
	CHECK_EQ(tree_put(&t, "d", FILE_, "new", &r), ERROR_OK, "%s", r.err.msg);
	tree_end(&t);
}

/* The old file stays, and nothing of the new one is left. */
Test(files_place, full_disk_keeps_the_old_file)
{
	auto_free char *large = malloc((1 << 20) + 1);
	struct copy_result r;
	char path[128];
	struct tree t;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	REQUIRE(large);
	memset(large, 'x', 1 << 20);
	large[1 << 20] = '\0';
	REQUIRE_EQ(unshare(CLONE_NEWNS), 0);
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	tree_make(&t);
	REQUIRE_EQ(mkdirat(t.shared, "full", 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/run/shared/containers/full", t.dir);
	REQUIRE_EQ(mount("tmpfs", path, "tmpfs", 0, "size=256k,nr_inodes=6"), 0);
	REQUIRE_EQ(tree_put(&t, "full/f", FILE_, "old", &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_put(&t, "full/f", FILE_, large, &r), ERROR_RESOURCE_EXHAUSTED);
	CHECK(strstr(r.err.msg, "full/f") && strstr(r.err.msg, "No space"), "%s", r.err.msg);
	CHECK(tree_has(&t, "full/f", "old"));
	CHECK_EQ(tree_names(&t, "full"), 1);
	/* parents that were made are removed, too */
	CHECK_EQ(tree_put(&t, "full/a/b/f", FILE_, large, &r), ERROR_RESOURCE_EXHAUSTED);
	CHECK_EQ(tree_put(&t, "full/a/b/c/d/e/f", FILE_, "", &r), ERROR_RESOURCE_EXHAUSTED);
	CHECK_EQ(tree_names(&t, "full"), 1);
	REQUIRE_EQ(umount(path), 0);
	tree_end(&t);
}

Test(files_place, replaced_temporary_file_is_not_written_to)
{
	struct copy_order o = { .act = COPY_WRITE,
				.first = true,
				.mode = 0600,
				.len = 3,
				.uid = UINT32_MAX,
				.gid = UINT32_MAX,
				.path = "f" };
	struct copy_result r;
	struct tree t;

	tree_make(&t);
	for (int i = 0; i < 3; i++) {
		o.first = true;
		o.last = false;
		o.offset = 0;
		REQUIRE_EQ(tree_place(&t, &o, "abc", &r), ERROR_OK, "%s", r.err.msg);
		REQUIRE_EQ(tree_temps(&t, "."), 1);
		REQUIRE_EQ(unlinkat(t.shared, o.temp, 0), 0);
		if (i == 0)
			REQUIRE_EQ(symlinkat("../../../outside/f", t.shared, o.temp), 0);
		if (i == 1)
			REQUIRE_EQ(linkat(t.outside, "f", t.shared, o.temp, 0), 0);
		o.first = false;
		o.last = true;
		o.offset = 3;
		o.dev = r.dev;
		o.ino = r.ino;
		CHECK_NE(tree_place(&t, &o, "def", &r), ERROR_OK);
		CHECK_EQ(tree_mode(&t, "f"), 0);
		(void)unlinkat(t.shared, o.temp, 0);
	}
	tree_end(&t);
}

Test(files_place, drop_removes_temporary_file_and_parents)
{
	struct copy_order o = { .act = COPY_WRITE,
				.first = true,
				.mode = 0600,
				.len = 3,
				.uid = UINT32_MAX,
				.gid = UINT32_MAX,
				.path = "keep/a/b/f" };
	struct copy_result r;
	struct tree t;

	tree_make(&t);
	REQUIRE_EQ(mkdirat(t.shared, "keep", 0755), 0);
	REQUIRE_EQ(tree_place(&t, &o, "abc", &r), ERROR_OK, "%s", r.err.msg);
	REQUIRE_EQ(r.made, 2);
	REQUIRE_EQ(tree_temps(&t, "keep/a/b"), 1);
	o.act = COPY_DROP;
	o.made = r.made;
	CHECK_EQ(tree_place(&t, &o, NULL, &r), ERROR_OK, "%s", r.err.msg);
	CHECK_EQ(tree_names(&t, "keep"), 0);
	CHECK_NE(tree_mode(&t, "keep"), 0);
	tree_end(&t);
}
