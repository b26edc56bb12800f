/* SPDX-License-Identifier: Apache-2.0 */
/* The list of entries of an image: canonical paths, and rejected ones. */
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/image/image.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

static struct image image;
static struct error err;

static void
fini(void)
{
	image_release(&image);
	scratch_fini();
}

TestSuite(image, .fini = fini);

static void
add_text(const char *path, const char *text)
{
	REQUIRE_OK(image_add_data(&image, path, 0644, text, strlen(text), &err), &err);
}

static void
add_link(const char *path, const char *target)
{
	REQUIRE_OK(image_add_symlink(&image, path, target, &err), &err);
}

static void
add_dir(const char *path)
{
	REQUIRE_OK(image_add_dir(&image, path, 0755, &err), &err);
}

/* The paths of files that are added below symlinks of the image. */
Test(image, canonical_paths)
{
	static const struct {
		const char *put, *lands;
	} rows[] = {
		{ "/sbin/init", "usr/sbin/init" }, { "sbin/../etc/a", "usr/etc/a" },
		{ "//etc///./b", "etc/b" },        { "/../../etc/c", "etc/c" },
		{ "/abs/d", "usr/lib/d" },         { "/two/e", "usr/lib/e" },
		{ "/usr/up/f", "etc/f" },          { "/new/dir/g", "new/dir/g" },
		{ "/dangling/h", "not/yet/h" },
	};

	add_dir("usr/sbin");
	add_dir("usr/lib");
	add_dir("etc");
	add_link("sbin", "usr/sbin");
	add_link("abs", "/usr/lib");
	add_link("two", "abs");
	add_link("usr/up", "../etc");
	add_link("dangling", "not/yet");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		add_text(rows[i].put, "x");
		CHECK(image_find(&image, rows[i].lands), "%s: not at %s", rows[i].put,
		      rows[i].lands);
		CHECK_STR(image_resolve(&image, rows[i].put, &err)->path, rows[i].lands, "%s",
			  rows[i].put);
	}
	CHECK_EQ(image_find(&image, "new/dir")->mode, S_IFDIR | 0755);
}

Test(image, resolve)
{
	add_text("usr/bin/kata-agent", "x");
	add_link("init", "/usr/bin/kata-agent");
	add_link("usr/bin/tatami", "kata-agent");
	add_link("loop", "loop2");
	add_link("loop2", "/loop");
	add_link("nowhere", "gone");
	CHECK_STR(image_resolve(&image, "/init", &err)->path, "usr/bin/kata-agent");
	CHECK_STR(image_resolve(&image, "/usr/bin/tatami", &err)->path, "usr/bin/kata-agent");
	CHECK(S_ISLNK(image_find(&image, "/init")->mode));
	CHECK(!image_resolve(&image, "/loop", &err));
	expect_error(&err, ERROR_NOT_FOUND, "too many symlinks");
	CHECK(!image_resolve(&image, "/nowhere", &err));
	expect_error(&err, ERROR_NOT_FOUND, "resolved to /gone");
	CHECK(!image_find(&image, "/loop/x"));
}

Test(image, refused_paths)
{
	char component[NAME_MAX + 2], deep[PATH_MAX + 8];
	const struct {
		const char *path, *why;
	} rows[] = {
		{ "a\nb", "newline" },
		{ "a/\x1b[2J", "control character" },
		{ "a/b\x7f", "control character" },
		{ "/", "root" },
		{ "..", "root" },
		{ "", "root" },
		{ "TRAILER!!!", "end marker of an archive" },
		{ component, "longer than 255" },
		{ deep, "longer than 4095" },
	};

	memset(component, 'c', sizeof(component) - 1);
	component[sizeof(component) - 1] = '\0';
	for (size_t i = 0; i < sizeof(deep); i++)
		deep[i] = i % 2 ? '/' : 'd';
	deep[sizeof(deep) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_EQ(image_add_data(&image, rows[i].path, 0644, "x", 1, &err), -1, "%s",
			 rows[i].why);
		expect_error(&err, ERROR_INVALID_ARGUMENT, rows[i].why);
	}
	CHECK_EQ(image_add_symlink(&image, "l", "", &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "target");
	CHECK_EQ(image.n, 0, "%zu entries were left", image.n);
	component[NAME_MAX] = '\0';
	add_text(component, "the longest name there is");
}

/* Names in other alphabets are accepted. */
Test(image, utf8)
{
	add_text("etc/F\xc5\x91tan\xc3\xbas\xc3\xadtv\xc3\xa1ny.pem", "x");
	CHECK(image_find(&image, "etc/F\xc5\x91tan\xc3\xbas\xc3\xadtv\xc3\xa1ny.pem"));
}

Test(image, replacing)
{
	add_text("etc/hostname", "one");
	add_text("etc/hostname", "three");
	CHECK_EQ(image_find(&image, "etc/hostname")->size, 5);
	add_link("etc/hostname", "elsewhere");
	add_text("etc/hostname", "x");
	CHECK(S_ISREG(image_find(&image, "etc/hostname")->mode));
	CHECK_EQ(image.n, 2);
	CHECK_EQ(image_add_data(&image, "etc", 0644, "x", 1, &err), -1);
	expect_error(&err, ERROR_ALREADY_EXISTS, "/etc");
	CHECK_EQ(image_add_dir(&image, "etc/hostname", 0755, &err), -1);
	expect_error(&err, ERROR_ALREADY_EXISTS, "/etc/hostname");
	CHECK_EQ(image_add_data(&image, "etc/hostname/x", 0644, "x", 1, &err), -1);
	expect_error(&err, ERROR_ALREADY_EXISTS, "/etc/hostname");
	REQUIRE_OK(image_add_dir(&image, "etc", 0700, &err), &err);
	CHECK_EQ(image_find(&image, "etc")->mode, S_IFDIR | 0700);
}

/* A tree with a real /lib over one where /lib is a link, as after a merged /usr. */
Test(image, directory_over_link)
{
	add_dir("usr/lib");
	add_link("lib", "usr/lib");
	add_dir("lib");
	add_text("lib/x", "x");
	CHECK(S_ISLNK(image_find(&image, "lib")->mode));
	CHECK(image_find(&image, "usr/lib/x"));
}

Test(image, nodes_and_owners)
{
	REQUIRE_OK(image_add_node(&image, "dev/null", S_IFCHR | 0666, 1, 3, &err), &err);
	CHECK_EQ(image_add_node(&image, "dev/x", S_IFREG | 0666, 1, 3, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "dev/x");
	REQUIRE_OK(image_set_owner(&image, "/dev/null", 7, 8, &err), &err);
	CHECK_EQ(image_find(&image, "dev/null")->uid, 7);
	CHECK_EQ(image_find(&image, "dev/null")->gid, 8);
	CHECK_EQ(image_set_owner(&image, "/dev/none", 7, 8, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "/dev/none");
}

Test(image, trees)
{
	const char *dir = scratch_dir(NULL);

	put_file(path_in(dir, "etc/shadow"), "s", 1, 0640);
	put_file(path_in(dir, "bin/su"), "su", 2, 04755);
	put_text(path_in(dir, "empty"), "");
	REQUIRE_EQ(symlink("../bin/su", path_in(dir, "etc/link")), 0);
	REQUIRE_EQ(mkfifo(path_in(dir, "fifo"), 0600), 0);
	REQUIRE_OK(image_add_tree(&image, dir, false, &err), &err);
	CHECK_EQ(image_find(&image, "etc/shadow")->mode, S_IFREG | 0640);
	CHECK_EQ(image_find(&image, "bin/su")->mode, S_IFREG | 04755);
	CHECK_EQ(image_find(&image, "empty")->size, 0);
	CHECK_STR((char *)image_find(&image, "etc/link")->data, "../bin/su");
	CHECK(S_ISFIFO(image_find(&image, "fifo")->mode));
	CHECK_EQ(image_find(&image, "bin/su")->uid, 0);
	REQUIRE_OK(image_add_tree(&image, dir, true, &err), &err);
	CHECK_EQ(image_find(&image, "bin/su")->uid, getuid());
	CHECK_EQ(image_add_tree(&image, path_in(dir, "none"), false, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "none");
	CHECK_EQ(image_add_tree(&image, path_in(dir, "empty"), false, &err), -1);
	expect_error(&err, ERROR_INTERNAL, "Not a directory");
	put_text(path_in(dir, "bin/a\nb"), "x");
	CHECK_EQ(image_add_tree(&image, dir, false, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "newline");
}

/* Extended attributes of a tree are kept unless they belong to the machine. */
Test(image, xattrs_of_a_tree)
{
	/* Revision 2 of the kernel's structure: CAP_NET_RAW, effective. */
	static const uint8_t ping[20] = { 1, 0, 0, 2, 0, 0x20 };
	/* u::rwx, u:1000:r-x, g::r-x, m::r-x, o::r-x (acl(5)). */
	static const uint8_t acl[] = { 2,   0,   0,   0,   1,   0,   7,  0,   255, 255, 255,
				       255, 2,   0,   5,   0,   232, 3,  0,   0,   4,   0,
				       5,   0,   255, 255, 255, 255, 16, 0,   5,   0,   255,
				       255, 255, 255, 32,  0,   5,   0,  255, 255, 255, 255 };
	const char *dir = scratch_dir(NULL), *file = path_in(dir, "ping"),
		   *below = path_in(dir, "d/x");
	const struct image_xattr *xattr;

	put_file(file, "x", 1, 0755);
	put_text(below, "x");
	if (setxattr(file, "user.x", "value", 5, 0) < 0 ||
	    setxattr(file, "user.overlay.opaque", "y", 1, 0) < 0 ||
	    setxattr(file, "security.selinux", "label", 6, 0) < 0 ||
	    setxattr(file, "trusted.x", "x", 1, 0) < 0 ||
	    setxattr(file, "security.capability", ping, sizeof(ping), 0) < 0 ||
	    setxattr(path_in(dir, "d"), "system.posix_acl_default", acl, sizeof(acl), 0) < 0)
		cr_skip_test("the file system or the user cannot set the attributes");
	REQUIRE_OK(image_add_tree(&image, dir, false, &err), &err);
	xattr = image_find(&image, "ping")->xattrs;
	REQUIRE(xattr && xattr->next);
	CHECK_STR(xattr->name, "security.capability");
	CHECK_EQ(xattr->n, sizeof(ping));
	CHECK_BYTES(xattr->value, ping, sizeof(ping));
	CHECK_STR(xattr->next->name, "user.x");
	CHECK_EQ(xattr->next->n, (size_t)5);
	CHECK_BYTES(xattr->next->value, "value", 5);
	CHECK_EQ(xattr->next->next, NULL);
	xattr = image_find(&image, "d")->xattrs;
	REQUIRE(xattr);
	CHECK_STR(xattr->name, "system.posix_acl_default");
	CHECK_EQ(xattr->n, sizeof(acl));
	CHECK_BYTES(xattr->value, acl, sizeof(acl));
	CHECK_EQ(xattr->next, NULL);
}

/* A directory of a tree whose path in the image is a symlink leaves the symlink as it is. */
Test(image, xattrs_through_a_symlink)
{
	const char *dir = scratch_dir(NULL), *below = path_in(dir, "bin/x");

	put_text(below, "x");
	if (setxattr(path_in(dir, "bin"), "user.x", "value", 5, 0) < 0)
		cr_skip_test("the file system cannot set the attribute");
	REQUIRE_OK(image_add_dir(&image, "usr/bin", 0755, &err), &err);
	REQUIRE_OK(image_add_symlink(&image, "bin", "usr/bin", &err), &err);
	REQUIRE_OK(image_add_tree(&image, dir, false, &err), &err);
	CHECK(image_find(&image, "usr/bin/x"));
	CHECK(!image_find(&image, "bin")->xattrs);
}

/* Hard links within a tree are kept, whatever their names; others are files of their own. */
Test(image, hard_links_of_a_tree)
{
	const char *dir = scratch_dir(NULL), *b = path_in(dir, "t/b");
	const struct image_entry *one, *two, *three;

	put_text(b, "text");
	put_text(path_in(dir, "t/d/other"), "text");
	REQUIRE_EQ(link(b, path_in(dir, "t/d/a")), 0);
	REQUIRE_EQ(link(b, path_in(dir, "t/c")), 0);
	REQUIRE_EQ(link(path_in(dir, "t/d/other"), path_in(dir, "outside")), 0);
	REQUIRE_OK(image_add_tree(&image, path_in(dir, "t"), true, &err), &err);
	one = image_find(&image, "b");
	two = image_find(&image, "c");
	three = image_find(&image, "d/a");
	REQUIRE(one && two && three);
	CHECK_GT(one->link_group, 0u);
	CHECK_EQ(two->link_group, one->link_group);
	CHECK_EQ(three->link_group, one->link_group);
	CHECK_EQ(image_find(&image, "d/other")->link_group, 0u);
}

/* Extended attributes are sorted by name, replaced, and vanish with the entry. */
Test(image, xattrs)
{
	const struct image_entry *entry;

	REQUIRE_OK(image_add_data(&image, "bin/ping", 0755, "x", 1, &err), &err);
	REQUIRE_OK(image_set_xattr(&image, "/bin/ping", "user.b", "one", 3, &err), &err);
	REQUIRE_OK(image_set_xattr(&image, "/bin/ping", "security.capability", "\1\0", 2, &err),
		   &err);
	REQUIRE_OK(image_set_xattr(&image, "/bin/ping", "user.b", "", 0, &err), &err);
	entry = image_find(&image, "bin/ping");
	REQUIRE(entry && entry->xattrs && entry->xattrs->next);
	CHECK_STR(entry->xattrs->name, "security.capability");
	CHECK_EQ(entry->xattrs->n, (size_t)2);
	CHECK(!memcmp(entry->xattrs->value, "\1\0", 2));
	CHECK_STR(entry->xattrs->next->name, "user.b");
	CHECK_EQ(entry->xattrs->next->n, (size_t)0);
	CHECK(!entry->xattrs->next->next);
	CHECK_EQ(image_set_xattr(&image, "none", "user.b", "", 0, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "failed to set user.b of none: not in the image");
	REQUIRE_OK(image_add_data(&image, "bin/ping", 0755, "x", 1, &err), &err);
	CHECK(!image_find(&image, "bin/ping")->xattrs);
}
