/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an archive, compared with the specification and with GNU cpio. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/cpio.h"
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

TestSuite(cpio, .fini = fini);

static int
try_write(const char *path, uint32_t mtime)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct packer *packer = packer_new(fd, PACK_NONE, &err);
	int r = cpio_write(&image, mtime, packer, &err);

	if (r == 0)
		r = packer_finish(packer, NULL, NULL, &err);
	packer_free(packer);
	return r;
}

static int
ignore_member(const struct cpio_member *member, void *data, struct error *e)
{
	(void)member;
	(void)e;
	++*(unsigned *)data;
	return 0;
}

/* Returns the number of members, or -1. */
static int
count_members(const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned members = 0;
	const struct cpio_visitor visitor = { .member = ignore_member, .data = &members };
	struct unpacker *unpacker = unpacker_new(fd, &err);
	int r = cpio_read(unpacker, &visitor, &err);

	unpacker_free(unpacker);
	return r < 0 ? -1 : (int)members;
}

/* Headers written by hand from the specification: four members and the end. */
/* clang-format off */
static const char five_headers[] =
	"070701" "00000001" "000041C0" "00000000" "00000000" "00000002" "67748580" "00000000"
	"00000000" "00000000" "00000000" "00000000" "00000002" "00000000" "d\0"
	"070701" "00000002" "000021B6" "00000005" "0000002C" "00000001" "67748580" "00000000"
	"00000000" "00000000" "00000001" "00000003" "00000007" "00000000" "d/null\0\0\0\0"
	"070701" "00000003" "000081ED" "00000000" "00000000" "00000001" "67748580" "00000005"
	"00000000" "00000000" "00000000" "00000000" "00000002" "00000000" "f\0" "hello\0\0\0"
	"070701" "00000004" "0000A1FF" "00000000" "00000000" "00000001" "67748580" "00000001"
	"00000000" "00000000" "00000000" "00000000" "00000005" "00000000" "link\0\0" "f\0\0\0"
	"070701" "00000000" "00000000" "00000000" "00000000" "00000001" "00000000" "00000000"
	"00000000" "00000000" "00000000" "00000000" "0000000B" "00000000" "TRAILER!!!\0\0\0\0";
/* clang-format on */

Test(cpio, bytes)
{
	const size_t len = sizeof(five_headers) - 1;
	const char *file = path_in(scratch_dir(NULL), "x");
	uint8_t *bytes;
	size_t n;

	/* In another order than that of the archive. */
	REQUIRE_OK(image_add_symlink(&image, "link", "f", &err), &err);
	REQUIRE_OK(image_add_data(&image, "f", 0755, "hello", 5, &err), &err);
	REQUIRE_OK(image_add_dir(&image, "d", 0700, &err), &err);
	REQUIRE_OK(image_add_node(&image, "d/null", S_IFCHR | 0666, 1, 3, &err), &err);
	REQUIRE_OK(image_set_owner(&image, "d/null", 5, 44, &err), &err);
	REQUIRE_EQ(try_write(file, 1735689600), 0, "%s", err.msg);
	bytes = get_file(file, &n);
	REQUIRE(n % 512 == 0 && n >= len, "%zu bytes", n);
	for (size_t i = 0; i < len; i++)
		REQUIRE_EQ(bytes[i], (uint8_t)five_headers[i], "byte %zu is %02x", i, bytes[i]);
	for (size_t i = len; i < n; i++)
		REQUIRE_EQ(bytes[i], 0, "byte %zu is %02x", i, bytes[i]);
}

static void
fill_image(const char *dir)
{
	put_text(path_in(dir, "src/a"), "content of a\n");
	REQUIRE_OK(image_add_file(&image, "usr/bin/a", 0755, path_in(dir, "src/a"), &err), &err);
	REQUIRE_OK(image_add_data(&image, "etc/odd", 0600, "123", 3, &err), &err);
	REQUIRE_OK(image_add_data(&image, "etc/empty", 0444, NULL, 0, &err), &err);
	REQUIRE_OK(image_add_symlink(&image, "init", "/usr/bin/a", &err), &err);
	REQUIRE_OK(image_add_dir(&image, "tmp", 01777, &err), &err);
}

/* GNU cpio lists and unpacks our archive correctly. */
Test(cpio, gnu_cpio)
{
	const char *dir = scratch_dir(NULL), *file = path_in(dir, "x"), *to = path_in(dir, "to");
	char *list[] = { "cpio", "--quiet", "-t", NULL };
	char *unpack[] = { "cpio", "--quiet", "-i", NULL };
	char target[64] = "", *out;
	struct stat st;
	size_t n;

	fill_image(dir);
	REQUIRE_EQ(try_write(file, 1000000000), 0, "%s", err.msg);
	REQUIRE_EQ(run_program(dir, file, list, &out), 0, "%s", out);
	CHECK_STR(out, "etc\netc/empty\netc/odd\ninit\ntmp\nusr\nusr/bin\nusr/bin/a\n");
	REQUIRE_EQ(mkdir(to, 0755), 0);
	REQUIRE_EQ(run_program(to, file, unpack, &out), 0, "%s", out);
	CHECK_STR((char *)get_file(path_in(to, "usr/bin/a"), &n), "content of a\n");
	CHECK_STR((char *)get_file(path_in(to, "etc/odd"), &n), "123");
	CHECK(stat(path_in(to, "usr/bin/a"), &st) == 0 && st.st_mode == (S_IFREG | 0755));
	CHECK(stat(path_in(to, "etc/empty"), &st) == 0 && st.st_size == 0);
	CHECK(stat(path_in(to, "tmp"), &st) == 0 && st.st_mode == (S_IFDIR | 01777));
	CHECK_GT(readlink(path_in(to, "init"), target, sizeof(target) - 1), 0);
	CHECK_STR(target, "/usr/bin/a");
}

/* Hard links are stored once, and GNU cpio links them again. A symlink is not linked. */
Test(cpio, hard_links)
{
	const char *dir = scratch_dir(NULL), *file = path_in(dir, "x"), *to = path_in(dir, "to");
	char *unpack[] = { "cpio", "--quiet", "-i", NULL };
	struct stat first, last, other;
	size_t n, at = 0;
	uint8_t *bytes;
	char *out;

	REQUIRE_OK(image_add_data(&image, "b", 0755, "only once\n", 10, &err), &err);
	REQUIRE_OK(image_add_link(&image, "dir/c", "b", &err), &err);
	REQUIRE_OK(image_add_link(&image, "a", "b", &err), &err);
	REQUIRE_OK(image_add_link(&image, "owned", "b", &err), &err);
	REQUIRE_OK(image_set_owner(&image, "owned", 1, 1, &err), &err);
	REQUIRE_OK(image_add_symlink(&image, "s", "a", &err), &err);
	REQUIRE_OK(image_add_link(&image, "t", "s", &err), &err);
	REQUIRE_OK(image_add_data(&image, "e", 0644, NULL, 0, &err), &err);
	REQUIRE_OK(image_add_link(&image, "f", "e", &err), &err);
	REQUIRE_EQ(try_write(file, 1), 0, "%s", err.msg);
	bytes = get_file(file, &n);
	for (uint8_t *p = bytes; (p = memmem(p, n - (size_t)(p - bytes), "only once", 9)); p++)
		at++;
	CHECK_EQ(at, (size_t)2);
	REQUIRE_EQ(mkdir(to, 0755), 0);
	REQUIRE_EQ(run_program(to, file, unpack, &out), 0, "%s", out);
	REQUIRE_EQ(stat(path_in(to, "a"), &first), 0);
	REQUIRE_EQ(stat(path_in(to, "dir/c"), &last), 0);
	REQUIRE_EQ(stat(path_in(to, "owned"), &other), 0);
	CHECK_EQ(first.st_nlink, 3u);
	CHECK_EQ(first.st_ino, last.st_ino);
	CHECK_EQ(first.st_size, 10);
	CHECK_EQ(other.st_nlink, 1u);
	CHECK_EQ(other.st_size, 10);
	REQUIRE_EQ(stat(path_in(to, "e"), &first), 0);
	CHECK_EQ(first.st_nlink, 2u);
	CHECK_EQ(readlink(path_in(to, "t"), (char[8]){ 0 }, 8), 1);
}

/* A description of attributes that the format cannot hold prefers a file capability. */
Test(cpio, losses)
{
	char text[500] = "";

	REQUIRE_OK(image_add_data(&image, "a", 0644, "a", 1, &err), &err);
	CHECK(!cpio_describe_losses(&image, text, sizeof(text)));
	REQUIRE_OK(image_set_xattr(&image, "a", "user.note", "n", 1, &err), &err);
	CHECK(cpio_describe_losses(&image, text, sizeof(text)));
	CHECK_HAS(text, "1 file were left out, of /a (user.note)");
	REQUIRE_OK(image_add_data(&image, "ping", 0755, "p", 1, &err), &err);
	REQUIRE_OK(image_set_xattr(&image, "ping", "security.aaa", "c", 1, &err), &err);
	REQUIRE_OK(image_set_xattr(&image, "ping", "security.capability", "c", 1, &err), &err);
	CHECK(cpio_describe_losses(&image, text, sizeof(text)));
	CHECK_HAS(text, "2 files were left out, of /ping (security.capability)");
}

/* An archive of GNU cpio can be read, also two concatenated ones. */
Test(cpio, reads_gnu_cpio)
{
	const char *dir = scratch_dir(NULL);
	char *make[] = { "sh", "-c",
			 "mkdir t && echo hello >t/f && ln -s f t/l && find t | sort |"
			 "cpio --quiet -o -H newc >one && cat one one >two && gzip -k two",
			 NULL };
	char *out;

	REQUIRE_EQ(run_program(dir, NULL, make, &out), 0, "%s", out);
	CHECK_EQ(count_members(path_in(dir, "one")), 3, "%s", err.msg);
	CHECK_EQ(count_members(path_in(dir, "two")), 6, "%s", err.msg);
	CHECK_EQ(count_members(path_in(dir, "two.gz")), 6, "%s", err.msg);
}

/* A source file vanishes or changes before it is written. */
Test(cpio, vanished_and_changed)
{
	const char *dir = scratch_dir(NULL), *source = path_in(dir, "src/a");

	fill_image(dir);
	put_text(source, "content of A, and more\n");
	CHECK_EQ(try_write(path_in(dir, "x"), 0), -1);
	expect_error(&err, ERROR_ABORTED, "src/a: file changed");
	REQUIRE_EQ(unlink(source), 0);
	CHECK_EQ(try_write(path_in(dir, "x"), 0), -1);
	expect_error(&err, ERROR_NOT_FOUND, "src/a: No such file");
	CHECK_EQ(image_add_file(&image, "a", 0755, source, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, source);
	CHECK_EQ(image_add_file(&image, "a", 0755, dir, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "not a regular file");
}

/* Corruption of every byte of the headers and truncation at every length lead to an error, or
 * change nothing that cpio_read() checks; never to a crash. */
Test(cpio, damaged)
{
	const char *dir = scratch_dir(NULL), *file = path_in(dir, "x");
	const char *bad = path_in(dir, "bad");
	unsigned refused = 0;
	uint8_t *bytes;
	size_t n, end;

	fill_image(dir);
	REQUIRE_EQ(try_write(file, 0), 0);
	bytes = get_file(file, &n);
	end = (size_t)((uint8_t *)memmem(bytes, n, "TRAILER!!!", 10) - bytes) + 11;
	for (size_t cut = 1; cut < end; cut += 3) {
		put_file(bad, bytes, cut, 0600);
		REQUIRE_EQ(count_members(bad), -1, "cut at %zu", cut);
		REQUIRE_EQ(err.code, ERROR_DATA_LOSS, "cut at %zu: %s", cut, err.msg);
	}
	for (size_t at = 0; at < 220; at++) {
		uint8_t old = bytes[at];

		bytes[at] = 'z';
		put_file(bad, bytes, n, 0600);
		refused += count_members(bad) == -1;
		bytes[at] = old;
	}
	CHECK_GE(refused, 2 * 110 - 10, "%u", refused);
	put_file(bad, bytes, 0, 0600);
	CHECK_EQ(count_members(bad), -1);
	expect_error(&err, ERROR_DATA_LOSS, "empty");
	put_text(bad, "no archive at all");
	CHECK_EQ(count_members(bad), -1);
}
