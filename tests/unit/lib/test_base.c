/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, arena, buffers, numbers and mount options. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include <criterion/criterion.h>

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/mountopt.h"
#include "lib/parse.h"
#include "lib/sys.h"
#include "tests/support/check.h"

Test(error, chain_reads_from_the_outside_in)
{
	struct error err = ERROR_INIT;

	errno = ENOENT;
	REQUIRE_EQ(error_sys(&err, "open %s", "/nope"), -1);
	REQUIRE_EQ(error_wrap(&err, "mount storage %d", 3), -1);
	error_wrap(&err, "create container c1");
	REQUIRE_STR(err.msg,
		    "create container c1: mount storage 3: open /nope: No such file or directory");
	REQUIRE_EQ(err.code, ERROR_INTERNAL);
	REQUIRE_EQ(err.errnum, ENOENT);
}

Test(error, out_of_memory_is_resource_exhausted)
{
	struct error err = ERROR_INIT;

	errno = ENOMEM;
	error_sys(&err, "read");
	REQUIRE_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	error_nomem(&err, "reading");
	CHECK_STR(err.msg, "out of memory while reading");
	error_nomem_for(&err, "add swap");
	CHECK_STR(err.msg, "add swap: out of memory");
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	CHECK_EQ(err.errnum, ENOMEM);
}

/* Also if the code depends on another errno: errno == EEXIST ? ... : ERROR_INTERNAL. */
Test(error, lack_of_room_with_a_code)
{
	static const int full[] = { ENOMEM, ENOSPC, EDQUOT, EMFILE, ENFILE };
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
		errno = full[i];
		REQUIRE_EQ(error_sys_code(&err, ERROR_INTERNAL, "make file"), -1);
		CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED, "%s", strerror(full[i]));
		errno = full[i];
		error_sys_code(&err, ERROR_FAILED_PRECONDITION, "make file");
		CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION);
	}
	errno = EIO;
	error_sys_code(&err, ERROR_INTERNAL, "make file");
	CHECK_EQ(err.code, ERROR_INTERNAL);
}

Test(error, text_is_printable_utf8_and_bounded)
{
	struct error err = ERROR_INIT;
	char big[2 * ERROR_MSG_MAX];

	error_set(&err, ERROR_INTERNAL, "name \"a\nb\x1b[31m\xff\xc3\"");
	REQUIRE(utf8_is_valid(err.msg, strlen(err.msg)));
	REQUIRE_EQ(strpbrk(err.msg, "\n\x1b"), NULL);
	for (size_t i = 0; i + 1 < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa9", 2);
	big[sizeof(big) - 1] = '\0';
	error_set(&err, ERROR_INTERNAL, "%s", big);
	error_wrap(&err, "x");
	REQUIRE(utf8_is_valid(err.msg, strlen(err.msg)), "a cut character must not stay");
	REQUIRE_LT(strlen(err.msg), sizeof(err.msg));
}

Test(error, every_code_has_a_name)
{
	for (int c = ERROR_OK; c <= ERROR_UNAUTHENTICATED; c++)
		REQUIRE_GT(strlen(error_code_name((enum error_code)c)), 1);
	REQUIRE_STR(error_code_name((enum error_code)99), "UNKNOWN");
}

/* But not for much less memory. */
Test(arena, a_spare_block_is_reused)
{
	struct arena_spare spare = { 0 };
	struct arena_chunk *kept;
	struct arena a;

	arena_init_spare(&a, 1 << 20, &spare);
	REQUIRE(arena_alloc(&a, 32 << 10));
	arena_release(&a);
	kept = spare.chunk;
	REQUIRE(kept);
	REQUIRE(arena_alloc(&a, 30 << 10));
	CHECK_EQ(spare.chunk, NULL);
	arena_release(&a);
	REQUIRE_EQ(spare.chunk, kept);
	REQUIRE(arena_alloc(&a, 10 << 10));
	CHECK_EQ(spare.chunk, kept);
	arena_release(&a);
	CHECK_EQ(spare.chunk, kept);
	arena_spare_release(&spare);
	CHECK_EQ(spare.chunk, NULL);
}

Test(arena, refuses_what_passes_the_cap)
{
	struct arena a;
	/* The compiler would reject the constant. */
	volatile size_t huge = SIZE_MAX;
	size_t taken = 0;

	arena_init(&a, 64 << 10);
	while (arena_alloc(&a, 1000))
		taken += 1000;
	REQUIRE_GT(taken, 50000);
	REQUIRE_LE(a.used, 64 << 10);
	REQUIRE_EQ(arena_alloc(&a, huge), NULL);
	REQUIRE_EQ(arena_zalloc(&a, huge / 2, 4), NULL);
	arena_release(&a);
	REQUIRE(arena_alloc(&a, 1000), "it can be used again");
	arena_release(&a);
}

Test(arena, aligned_and_distinct)
{
	struct arena a;
	char *last = NULL;

	arena_init(&a, 1 << 20);
	for (size_t i = 1; i < 300; i++) {
		char *p = arena_zalloc(&a, 1, i);

		REQUIRE_EQ((uintptr_t)p % 16, 0);
		REQUIRE_NE(p, last);
		for (size_t k = 0; k < i; k++)
			REQUIRE_EQ(p[k], 0);
		memset(p, 0xff, i);
		last = p;
	}
	REQUIRE_STR(arena_printf(&a, "%s-%d", "id", 7), "id-7");
	arena_release(&a);
}

Test(buf, holds_to_its_maximum_and_keeps_order)
{
	struct buf b;
	unsigned char next = 0, want = 0;

	buf_init(&b, 1000);
	for (int round = 0; round < 2000; round++) {
		unsigned char bytes[7];
		size_t take = (size_t)round % 7;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)(next + i);
		if (buf_append(&b, bytes, sizeof(bytes)) == 0)
			next = (unsigned char)(next + sizeof(bytes));
		REQUIRE_LE(buf_len(&b), 1000);
		if (take > buf_len(&b))
			take = buf_len(&b);
		for (size_t i = 0; i < take; i++)
			REQUIRE_EQ(buf_head(&b)[i], (unsigned char)(want + i));
		want = (unsigned char)(want + take);
		buf_consume(&b, take);
	}
	REQUIRE_EQ(buf_reserve(&b, SIZE_MAX), NULL);
	buf_release(&b);
}

Test(buf, gives_large_memory_back_when_empty)
{
	struct buf b;

	buf_init(&b, 4 << 20);
	REQUIRE(buf_reserve(&b, 1 << 20));
	buf_commit(&b, 1 << 20);
	buf_consume(&b, 1 << 20);
	REQUIRE_EQ(b.size, 0);
	buf_release(&b);
}

Test(parse, numbers_are_whole_or_nothing)
{
	static const struct {
		const char *text;
		bool ok;
		uint64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "42", true, 42 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "18446744073709551616", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1x", false, 0 },
		{ "+1", false, 0 },
		{ "0x10", false, 0 },
		{ "99999999999999999999", false, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t v = 77;

		CHECK_EQ(parse_u64(rows[i].text, &v), rows[i].ok, "\"%s\"", rows[i].text);
		CHECK_EQ(v, rows[i].ok ? rows[i].value : 77, "\"%s\"", rows[i].text);
	}
}

Test(parse, signed_and_narrow)
{
	int64_t i = 0;
	uint32_t u = 0;
	uint64_t h = 0;

	REQUIRE(parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
	REQUIRE(!parse_i64("9223372036854775808", &i));
	REQUIRE(!parse_u32("4294967296", &u), "2^32 must not become 0");
	REQUIRE(parse_u32("4294967295", &u) && u == UINT32_MAX);
	REQUIRE(parse_octal("0777", &u) && u == 0777);
	REQUIRE(!parse_octal("8", &u));
	REQUIRE(parse_hex("0xFf", &h) && h == 255);
	REQUIRE(!parse_hex("0x", &h));
}

Test(parse, bool_words)
{
	bool b = false;

	REQUIRE(parse_bool("true", &b) && b);
	REQUIRE(parse_bool("0", &b) && !b);
	REQUIRE(parse_bool("17", &b) && b);
	REQUIRE(!parse_bool("maybe", &b));
}

Test(parse, utf8)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool ok;
	} rows[] = {
		{ "", 0, true },
		{ "abc", 3, true },
		{ "a\0b", 3, false },
		{ "\xc3\xa9", 2, true },
		{ "\xc3", 1, false },
		/* Overlong NUL. */
		{ "\xc0\x80", 2, false },
		/* Surrogate. */
		{ "\xed\xa0\x80", 3, false },
		/* U+1F600 */
		{ "\xf0\x9f\x98\x80", 4, true },
		/* Above U+10FFFF. */
		{ "\xf4\x90\x80\x80", 4, false },
		{ "\xe2\x82", 2, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(utf8_is_valid(rows[i].bytes, rows[i].n), rows[i].ok, "row %zu", i);
}

Test(parse, container_ids)
{
	static const char *const good[] = { "c1", "a.b_c-D", "0123456789abcdef" };
	static const char *const bad[] = { "",
					   "a",
					   ".",
					   "..",
					   "a/b",
					   "-a",
					   "a b",
					   "a\nb",
					   "shared",
					   "sandbox",
					   "\xd0\xb0\xd0\xb1",
					   "image" };
	char longest[130];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(container_id_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!container_id_is_valid(bad[i]), "%s", bad[i]);
	memset(longest, 'a', sizeof(longest));
	longest[129] = '\0';
	CHECK(!container_id_is_valid(longest));
	longest[128] = '\0';
	CHECK(container_id_is_valid(longest));
}

Test(mountopt, words_set_and_clear)
{
	static const char *const strip[] = { "io.katacontainers.", NULL };
	struct mountopts o = { 0 };
	static const char *const words[] = { "ro",       "nosuid", "rw",
					     "size=4k",  "rbind",  "rslave",
					     "mode=755", "",       "io.katacontainers.fs-opt=x",
					     "noatime" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		REQUIRE_EQ(mountopts_add(&o, words[i], strip), 0);
	REQUIRE_EQ(o.flags, (unsigned long)(MS_NOSUID | MS_BIND | MS_REC | MS_NOATIME));
	REQUIRE_EQ(o.propagation, (unsigned long)(MS_SLAVE | MS_REC));
	REQUIRE_STR(o.data, "size=4k,mode=755");
}

Test(mountopt, attributes_of_flags)
{
	static const struct {
		unsigned long flags;
		uint64_t attrs;
	} rows[] = {
		{ 0, 0 },
		{ MS_RDONLY | MS_NOSUID, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID },
		{ MS_NODEV | MS_NOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC },
		{ MS_NODIRATIME | MS_NOSYMFOLLOW, MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW },
		{ MS_NOATIME, MOUNT_ATTR_NOATIME },
		{ MS_STRICTATIME, MOUNT_ATTR_STRICTATIME },
		{ MS_RELATIME, 0 },
		/* Not a flag of a mount, but of its file system or of the call. */
		{ MS_SYNCHRONOUS | MS_LAZYTIME | MS_BIND | MS_REC | MS_REMOUNT, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_EQ(mountopt_attrs(rows[i].flags), rows[i].attrs, "row %zu", i);
}

Test(mountopt, data_of_more_than_a_page_is_refused)
{
	struct mountopts o = { 0 };
	int r = 0;

	for (int i = 0; i < 1000 && r == 0; i++)
		r = mountopts_add(&o, "lowerdir=/a/b/c", NULL);
	REQUIRE_EQ(r, -1);
	REQUIRE_LT(strlen(o.data), sizeof(o.data));
}
