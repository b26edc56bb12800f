/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed streams: round trips, and corrupt input. */
#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/pack.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

TestSuite(pack, .fini = scratch_fini);

static const struct {
	const char *name;
	enum pack_format format;
} formats[] = {
	{ "none", PACK_NONE }, { "gzip", PACK_GZIP }, { "zstd", PACK_ZSTD },
	{ "xz", PACK_XZ },     { "lz4", PACK_LZ4 },   { "xz-plain", PACK_XZ_PLAIN },
};

/* Partly compressible data: neither constant nor random. */
static void
make_bytes(uint8_t *bytes, size_t n)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = i % 7000 < 3500 ? (uint8_t)(i / 300) : (uint8_t)(x >> 24);
	}
}

static void
pack_to(const char *path, enum pack_format format, const uint8_t *bytes, size_t n)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct error err = ERROR_INIT;
	struct packer *packer = packer_new(fd, format, &err);
	uint64_t in, out;

	REQUIRE(packer, "%s", err.msg);
	REQUIRE_OK(packer_write(packer, bytes, n, &err), &err);
	REQUIRE_OK(packer_finish(packer, &in, &out, &err), &err);
	packer_free(packer);
	CHECK_EQ(in, n);
	CHECK_EQ(out, (uint64_t)lseek(fd, 0, SEEK_END));
}

Test(pack, names)
{
	enum pack_format format = PACK_XZ;

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		CHECK(pack_format_parse(formats[i].name, &format));
		CHECK_EQ(format, formats[i].format);
	}
	CHECK(!pack_format_parse("bzip2", &format));
	CHECK(!pack_format_parse("", &format));
}

Test(pack, round_trip)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 3 << 20 };
	auto_free uint8_t *bytes = malloc(3 << 20);
	const char *file = path_in(scratch_dir(NULL), "x");
	struct error err = ERROR_INIT;

	make_bytes(bytes, 3 << 20);
	for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
		for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
			auto_free uint8_t *back = NULL;
			size_t n = 0;

			pack_to(file, formats[f].format, bytes, sizes[s]);
			REQUIRE_EQ(unpack_file(file, 4 << 20, &back, &n, &err), 0, "%s %zu: %s",
				   formats[f].name, sizes[s], err.msg);
			CHECK_EQ(n, sizes[s], "%s: %zu of %zu", formats[f].name, n, sizes[s]);
			CHECK(n == 0 || !memcmp(back, bytes, n), "%s %zu", formats[f].name, n);
		}
	}
}

/* The level of gzip changes within a large archive. */
Test(pack, large_gzip)
{
	const size_t n = (17 << 20) + 5;
	auto_free uint8_t *bytes = calloc(1, n), *back = NULL;
	const char *dir = scratch_dir(NULL), *file = path_in(dir, "x");
	char *const list[] = { "gzip", "-t", "x", NULL };
	struct error err = ERROR_INIT;
	size_t got = 0;
	char *out;

	/* Both sides of the change, which comes after 16 MiB. */
	for (size_t i = 0; i < 4; i++)
		make_bytes(bytes + (15 << 20) + i * (500 << 10), 500 << 10);
	{
		auto_close int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		struct packer *packer = packer_new(fd, PACK_GZIP, &err);

		REQUIRE(packer, "%s", err.msg);
		for (size_t at = 0; at < n; at += 1000003)
			REQUIRE_OK(packer_write(packer, bytes + at,
						n - at < 1000003 ? n - at : 1000003, &err),
				   &err);
		REQUIRE_OK(packer_finish(packer, NULL, NULL, &err), &err);
		packer_free(packer);
	}
	REQUIRE_OK(unpack_file(file, n, &back, &got, &err), &err);
	REQUIRE_EQ(got, n);
	CHECK(!memcmp(back, bytes, n));
	REQUIRE_EQ(run_program(dir, NULL, list, &out), 0, "%s", out);
}

/* The id of the first filter of a block of xz, after the headers of stream and block. */
static unsigned
first_filter(enum pack_format format)
{
	const char *file = path_in(scratch_dir(NULL), "x");
	auto_free uint8_t *back = NULL;
	struct error err = ERROR_INIT;
	uint8_t *bytes;
	size_t n;

	pack_to(file, format, (const uint8_t *)"\xe8\0\0\0\0 call", 10);
	bytes = get_file(file, &n);
	REQUIRE_GT(n, (size_t)16);
	REQUIRE_OK(unpack_file(file, 100, &back, &n, &err), &err);
	CHECK(n == 10 && !memcmp(back, "\xe8\0\0\0\0 call", 10));
	return bytes[14];
}

/* An initrd with x86 programs has the filter for them, unless it was asked to have none. */
Test(pack, filter_for_programs)
{
	enum { LZMA2 = 0x21, X86 = 0x04 };

	CHECK_EQ(first_filter(pack_format_for(PACK_XZ, EM_X86_64)), (unsigned)X86);
	CHECK_EQ(first_filter(pack_format_for(PACK_XZ, EM_AARCH64)), (unsigned)LZMA2);
	CHECK_EQ(first_filter(pack_format_for(PACK_XZ_PLAIN, EM_X86_64)), (unsigned)LZMA2);
	CHECK_EQ(first_filter(PACK_XZ), (unsigned)LZMA2);
	CHECK_EQ(pack_format_for(PACK_GZIP, EM_X86_64), PACK_GZIP);
}

/* gzip, zstd and xz read our output, and we read theirs. */
Test(pack, other_programs)
{
	static char *const pack[][5] = {
		{ "gzip", "-c", NULL },
		{ "zstd", "-q", "-c", NULL },
		{ "xz", "-c", NULL },
	};
	static char *const unpack[][5] = {
		{ "gzip", "-d", "-c", NULL },
		{ "zstd", "-q", "-d", "-c", NULL },
		{ "xz", "-d", "-c", NULL },
	};
	static const enum pack_format format[] = { PACK_GZIP, PACK_ZSTD, PACK_XZ };
	const char *dir = scratch_dir(NULL), *file = path_in(dir, "x"),
		   *text = path_in(dir, "text");
	struct error err = ERROR_INIT;
	size_t n;
	char *out;

	put_text(text, "module bytes, module bytes, module bytes\n");
	for (size_t i = 0; i < ARRAY_LEN(pack); i++) {
		auto_free uint8_t *back = NULL;
		char *const shell[] = { "sh",       "-c",       "\"$@\" <text >x", "sh",
					pack[i][0], pack[i][1], pack[i][2],        NULL };

		REQUIRE_EQ(run_program(dir, NULL, shell, &out), 0, "%s: %s", pack[i][0], out);
		REQUIRE_OK(unpack_file(file, 1000, &back, &n, &err), &err);
		CHECK(n == 41 && !memcmp(back, "module bytes", 12), "%s", pack[i][0]);
	}
	for (size_t i = 0; i < ARRAY_LEN(unpack); i++) {
		pack_to(file, format[i], (const uint8_t *)"hello", 5);
		REQUIRE_EQ(run_program(dir, file, unpack[i], &out), 0, "%s: %s", unpack[i][0], out);
		CHECK_STR(out, "hello", "%s: %s", unpack[i][0], out);
	}
}

/* The gzip header (RFC 1952) contains no time, name or machine. */
Test(pack, gzip_header)
{
	static const uint8_t want[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255 };
	const char *file = path_in(scratch_dir(NULL), "x");
	uint8_t *bytes;
	size_t n;

	pack_to(file, PACK_GZIP, (const uint8_t *)"abc", 3);
	bytes = get_file(file, &n);
	REQUIRE_GT(n, sizeof(want));
	CHECK(!memcmp(bytes, want, sizeof(want)));
}

Test(pack, damaged)
{
	auto_free uint8_t *bytes = malloc(200000);
	const char *file = path_in(scratch_dir(NULL), "x");

	make_bytes(bytes, 200000);
	for (size_t f = 1; f < ARRAY_LEN(formats); f++) {
		struct error err = ERROR_INIT;
		auto_free uint8_t *back = NULL, *more = NULL;
		uint8_t *packed;
		size_t n, got;

		/* The legacy format of lz4 has no checksum. */
		if (formats[f].format == PACK_LZ4)
			continue;
		pack_to(file, formats[f].format, bytes, 200000);
		packed = get_file(file, &n);
		put_file(file, packed, n - 5, 0600);
		CHECK_EQ(unpack_file(file, 1 << 20, &back, &got, &err), -1);
		expect_error(&err, ERROR_DATA_LOSS, "unexpected end");

		packed[n / 2] ^= 0x55;
		put_file(file, packed, n, 0600);
		CHECK_EQ(unpack_file(file, 1 << 20, &back, &got, &err), -1, "%s", formats[f].name);
		expect_error(&err, ERROR_DATA_LOSS, file);

		packed[n / 2] ^= 0x55;
		more = malloc(n + 1);
		memcpy(more, packed, n);
		more[n] = 'x';
		put_file(file, more, n + 1, 0600);
		CHECK_EQ(unpack_file(file, 1 << 20, &back, &got, &err), -1);
		expect_error(&err, ERROR_UNIMPLEMENTED, "data after the end");
	}
}

Test(pack, limits)
{
	const char *file = path_in(scratch_dir(NULL), "x");
	auto_free uint8_t *zeros = calloc(1, 8 << 20);
	struct error err = ERROR_INIT;
	uint8_t *back = NULL;
	size_t n;

	pack_to(file, PACK_GZIP, zeros, 8 << 20);
	CHECK_EQ(unpack_file(file, 1 << 20, &back, &n, &err), -1);
	expect_error(&err, ERROR_RESOURCE_EXHAUSTED, "1048576");
	CHECK_EQ(unpack_file(path_in(file, "none"), 1, &back, &n, &err), -1);
}
