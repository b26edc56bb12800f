/* SPDX-License-Identifier: Apache-2.0 */
/* Verification rejects an archive that differs from its image in any way. */
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/cpio.h"
#include "rootfs-builder/guest/verify.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

#define EPOCH 1000u

static struct image image;
static struct error err;
static const char *dir;

static void
init(void)
{
	dir = scratch_dir(NULL);
	put_elf(path_in(dir, "tatami"), EM_X86_64, NULL);
	REQUIRE_OK(image_add_file(&image, "usr/bin/kata-agent", 0755, path_in(dir, "tatami"), &err),
		   &err);
	REQUIRE_OK(image_add_symlink(&image, "init", "usr/bin/kata-agent", &err), &err);
	REQUIRE_OK(image_add_symlink(&image, "sbin/init", "/init", &err), &err);
	REQUIRE_OK(image_add_data(&image, "etc/x", 0644, "some text", 9, &err), &err);
}

static void
fini(void)
{
	image_release(&image);
	scratch_fini();
}

TestSuite(verify, .init = init, .fini = fini);

static int
write_archive(void)
{
	int fd = open(path_in(dir, "archive"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct packer *packer = packer_new(fd, PACK_NONE, &err);

	REQUIRE(packer);
	REQUIRE_OK(cpio_write(&image, EPOCH, packer, &err), &err);
	REQUIRE_OK(packer_finish(packer, NULL, NULL, &err), &err);
	packer_free(packer);
	return fd;
}

static int
verify(int fd)
{
	return verify_archive(fd, &image, EPOCH, EM_X86_64, true, &err);
}

Test(verify, every_byte_counts)
{
	auto_close int fd = write_archive();
	size_t n, end, unnoticed = 0;
	uint8_t *bytes = get_file(path_in(dir, "archive"), &n);

	REQUIRE_EQ(verify(fd), 0, "%s", err.msg);
	end = (size_t)((uint8_t *)memmem(bytes, n, "TRAILER!!!", 10) - bytes) - 110;
	for (size_t at = 0; at < end; at++) {
		uint8_t other = bytes[at] == '1' ? '2' : '1';

		REQUIRE_EQ(pwrite(fd, &other, 1, (off_t)at), 1);
		if (verify(fd) == 0)
			unnoticed++;
		else
			REQUIRE_EQ(err.code, ERROR_DATA_LOSS, "%zu: %s", at, err.msg);
		REQUIRE_EQ(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
	}
	/* Per member: file system (two) and checksum, which are not checked, 8 digits each; the
	 * magic's last digit, which may be 1 or 2; up to 3 + 3 bytes of padding. */
	CHECK_LE(unnoticed, image.n * (3 * 8 + 1 + 6), "%zu bytes may change unnoticed", unnoticed);
	CHECK_EQ(verify(fd), 0, "%s", err.msg);
}

/* The program may be a hard link whose content comes later in the archive. */
Test(verify, hard_links)
{
	auto_close int fd = -1;
	size_t n;
	uint8_t *bytes, *at;

	REQUIRE_OK(image_add_link(&image, "usr/bin/zzz", "usr/bin/kata-agent", &err), &err);
	fd = write_archive();
	REQUIRE_EQ(verify(fd), 0, "%s", err.msg);
	/* Its number of links: the field before the time. */
	bytes = get_file(path_in(dir, "archive"), &n);
	at = memmem(bytes, n, "usr/bin/zzz", 11);
	REQUIRE(at);
	REQUIRE_EQ(pwrite(fd, "00000001", 8, at - 110 + 38 - bytes), 8);
	CHECK_EQ(verify(fd), -1);
	expect_error(&err, ERROR_DATA_LOSS, "/usr/bin/zzz: wrong time and number");
}

Test(verify, other_lists)
{
	auto_close int fd = write_archive();

	REQUIRE_OK(image_add_data(&image, "zzz", 0644, "x", 1, &err), &err);
	image_sort(&image);
	CHECK_EQ(verify(fd), -1);
	expect_error(&err, ERROR_DATA_LOSS, "/zzz is missing");
	close_fd(&fd);
	fd = write_archive();
	image.n--;
	CHECK_EQ(verify(fd), -1);
	expect_error(&err, ERROR_DATA_LOSS, "unexpected member zzz");
	image.n++;
	REQUIRE_OK(image_set_owner(&image, "zzz", 1, 0, &err), &err);
	CHECK_EQ(verify(fd), -1);
	expect_error(&err, ERROR_DATA_LOSS, "/zzz: wrong owner");
}

Test(verify, programs)
{
	static const struct {
		const char *target, *why;
		enum error_code code;
	} rows[] = {
		{ "gone", "no /init in the image", ERROR_NOT_FOUND },
		{ "etc/x", "/init is not an executable file", ERROR_INVALID_ARGUMENT },
		{ "etc", "/init is not an executable file", ERROR_INVALID_ARGUMENT },
		{ "short", "/init is not an ELF file", ERROR_INVALID_ARGUMENT },
		{ "init", "too many symlinks", ERROR_NOT_FOUND },
	};

	REQUIRE_OK(image_add_data(&image, "short", 0755, "\177ELF", 4, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_close int fd = -1;

		REQUIRE_OK(image_add_symlink(&image, "init", rows[i].target, &err), &err);
		fd = write_archive();
		CHECK_EQ(verify(fd), -1, "%s", rows[i].target);
		expect_error(&err, rows[i].code, rows[i].why);
	}
}
