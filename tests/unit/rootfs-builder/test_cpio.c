/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of an archive, compared with the specification and with GNU cpio. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "lib/cleanup.h"
#include "rootfs-builder/cpio.h"

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
	cr_assert(image_add_symlink(&image, "link", "f", &err) == 0);
	cr_assert(image_add_data(&image, "f", 0755, "hello", 5, &err) == 0);
	cr_assert(image_add_dir(&image, "d", 0700, &err) == 0);
	cr_assert(image_add_node(&image, "d/null", S_IFCHR | 0666, 1, 3, &err) == 0);
	cr_assert(image_set_owner(&image, "d/null", 5, 44, &err) == 0);
	cr_assert(try_write(file, 1735689600) == 0, "%s", err.msg);
	bytes = get_file(file, &n);
	cr_assert(n % 512 == 0 && n >= len, "%zu bytes", n);
	for (size_t i = 0; i < len; i++)
		cr_assert(bytes[i] == (uint8_t)five_headers[i], "byte %zu is %02x", i, bytes[i]);
	for (size_t i = len; i < n; i++)
		cr_assert(bytes[i] == 0, "byte %zu is %02x", i, bytes[i]);
}

static void
fill_image(const char *dir)
{
	put_text(path_in(dir, "src/a"), "content of a\n");
	cr_assert(image_add_file(&image, "usr/bin/a", 0755, path_in(dir, "src/a"), &err) == 0);
	cr_assert(image_add_data(&image, "etc/odd", 0600, "123", 3, &err) == 0);
	cr_assert(image_add_data(&image, "etc/empty", 0444, NULL, 0, &err) == 0);
	cr_assert(image_add_symlink(&image, "init", "/usr/bin/a", &err) == 0);
	cr_assert(image_add_dir(&image, "tmp", 01777, &err) == 0);
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
	cr_assert(try_write(file, 1000000000) == 0, "%s", err.msg);
	cr_assert(run_program(dir, file, list, &out) == 0, "%s", out);
	cr_expect(!strcmp(out, "etc\netc/empty\netc/odd\ninit\ntmp\nusr\nusr/bin\nusr/bin/a\n"),
		  "%s", out);
	cr_assert(mkdir(to, 0755) == 0);
	cr_assert(run_program(to, file, unpack, &out) == 0, "%s", out);
	cr_expect(!strcmp((char *)get_file(path_in(to, "usr/bin/a"), &n), "content of a\n"));
	cr_expect(!strcmp((char *)get_file(path_in(to, "etc/odd"), &n), "123"));
	cr_expect(stat(path_in(to, "usr/bin/a"), &st) == 0 && st.st_mode == (S_IFREG | 0755));
	cr_expect(stat(path_in(to, "etc/empty"), &st) == 0 && st.st_size == 0);
	cr_expect(stat(path_in(to, "tmp"), &st) == 0 && st.st_mode == (S_IFDIR | 01777));
	cr_expect(readlink(path_in(to, "init"), target, sizeof(target) - 1) > 0);
	cr_expect(!strcmp(target, "/usr/bin/a"));
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

	cr_assert(run_program(dir, NULL, make, &out) == 0, "%s", out);
	cr_expect(count_members(path_in(dir, "one")) == 3, "%s", err.msg);
	cr_expect(count_members(path_in(dir, "two")) == 6, "%s", err.msg);
	cr_expect(count_members(path_in(dir, "two.gz")) == 6, "%s", err.msg);
}

/* A source file vanishes or changes before it is written. */
Test(cpio, vanished_and_changed)
{
	const char *dir = scratch_dir(NULL), *source = path_in(dir, "src/a");

	fill_image(dir);
	put_text(source, "content of A, and more\n");
	cr_expect(try_write(path_in(dir, "x"), 0) == -1);
	expect_error(&err, ERROR_ABORTED, "src/a: file changed");
	cr_assert(unlink(source) == 0);
	cr_expect(try_write(path_in(dir, "x"), 0) == -1);
	expect_error(&err, ERROR_NOT_FOUND, "src/a: No such file");
	cr_expect(image_add_file(&image, "a", 0755, source, &err) == -1);
	expect_error(&err, ERROR_NOT_FOUND, source);
	cr_expect(image_add_file(&image, "a", 0755, dir, &err) == -1);
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
	cr_assert(try_write(file, 0) == 0);
	bytes = get_file(file, &n);
	end = (size_t)((uint8_t *)memmem(bytes, n, "TRAILER!!!", 10) - bytes) + 11;
	for (size_t cut = 1; cut < end; cut += 3) {
		put_file(bad, bytes, cut, 0600);
		cr_assert(count_members(bad) == -1, "cut at %zu", cut);
		cr_assert(err.code == ERROR_DATA_LOSS, "cut at %zu: %s", cut, err.msg);
	}
	for (size_t at = 0; at < 220; at++) {
		uint8_t old = bytes[at];

		bytes[at] = 'z';
		put_file(bad, bytes, n, 0600);
		refused += count_members(bad) == -1;
		bytes[at] = old;
	}
	cr_expect(refused >= 2 * 110 - 10, "%u", refused);
	put_file(bad, bytes, 0, 0600);
	cr_expect(count_members(bad) == -1);
	expect_error(&err, ERROR_DATA_LOSS, "empty");
	put_text(bad, "no archive at all");
	cr_expect(count_members(bad) == -1);
}
