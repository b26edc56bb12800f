/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives as input and output. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/tarread.h"
#include "rootfs-builder/archive/tarwrite.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/build_fixture.h"

static const char *dir;
static struct build *build;
static struct error err;

static void
init(void)
{
	dir = scratch_dir(NULL);
	build = build_begin(dir);
}

static void
fini(void)
{
	build_end();
	scratch_fini();
}

TestSuite(tar, .init = init, .fini = fini);

static const struct member all[] = {
	{ "./", S_IFDIR | 0700, .uid = 9 },
	{ "./dir/", S_IFDIR | 01775, .uid = 4, .gid = 5 },
	{ "/dir/file", S_IFREG | 04755, "content", .uid = 1000, .gid = 3000000000 },
	{ "dir//./link", S_IFREG | 04755, .link = "dir/file" },
	{ "dir/symlink", S_IFLNK | 0777, "../file" },
	{ "dev/console", S_IFCHR | 0600 },
	{ "fifo", S_IFIFO | 0644 },
	{ "cap", S_IFREG | 0755, "x", .xattr = "security.capability", .value = "abc" },
	{ "caf\303\251", S_IFREG | 0644, "utf-8" },
	{ "empty", S_IFREG | 0 },
	{ NULL },
};

static const char all_text[] = "100644 0:0 caf\303\251 = utf-8\n"
			       "100755 0:0 cap = x {security.capability=abc}\n"
			       "040755 0:0 dev\n"
			       "020600 0:0 dev/console 5,1\n"
			       "041775 4:5 dir\n"
			       "104755 1000:3000000000 dir/file = content [1]\n"
			       "104755 1000:3000000000 dir/link = content [1]\n"
			       "120777 0:0 dir/symlink -> ../file\n"
			       "100000 0:0 empty\n"
			       "010644 0:0 fifo\n";

static int
read_tar(const struct member *members)
{
	const char *path = path_in(dir, "in.tar");

	put_tar(path, members, NULL);
	return input_tar.read(build, path, &err);
}

Test(tar, everything)
{
	static const char *const filters[] = { NULL, "gzip", "xz", "zstd" };

	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		const char *path = path_in(dir, filters[i] ? filters[i] : "plain");

		put_tar(path, all, filters[i]);
		REQUIRE_OK(input_tar.read(build, path, &err), &err, "%s", path);
		CHECK_STR(describe(&build->image), all_text);
		image_release(&build->image);
	}
	CHECK(input_tar.recognizes("x/y.tar.zst"));
	CHECK(!input_tar.recognizes(".tar"));
	CHECK(!input_tar.recognizes("a.zip"));
}

static void
write_tar(const char *path)
{
	auto_close int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct packer *packer = packer_new(fd, PACK_NONE, &err);
	struct sha256_ctx hash;

	REQUIRE(packer);
	sha256_init(&hash);
	image_sort(&build->image);
	REQUIRE_OK(tar_write(build, packer, &hash, &err), &err);
	REQUIRE_OK(packer_finish(packer, NULL, NULL, &err), &err);
	packer_free(packer);
}

Test(tar, round_trip)
{
	const char *path = path_in(dir, "out.tar");
	size_t n, again;
	uint8_t *bytes;

	REQUIRE_OK(read_tar(all), &err);
	write_tar(path);
	REQUIRE_OK(tar_verify(build, path, &err), &err);
	bytes = get_file(path, &n);
	image_release(&build->image);
	REQUIRE_OK(input_tar.read(build, path, &err), &err);
	CHECK_STR(describe(&build->image), all_text);
	write_tar(path_in(dir, "again.tar"));
	REQUIRE(!memcmp(get_file(path_in(dir, "again.tar"), &again), bytes, n));
	CHECK_EQ(n, again);
}

Test(tar, verification)
{
	const char *path = path_in(dir, "out.tar");
	uint8_t *bytes;
	size_t n;

	REQUIRE_OK(read_tar(all), &err);
	write_tar(path);
	bytes = get_file(path, &n);
	for (size_t at = 0; at + 7 < n; at++) {
		if (memcmp(bytes + at, "content", 7) != 0)
			continue;
		bytes[at]++;
		put_file(path, bytes, n, 0600);
		bytes[at]--;
	}
	CHECK_FAILS(tar_verify(build, path, &err), &err, ERROR_DATA_LOSS, "wrong content");
	put_file(path, bytes, 1024, 0600);
	CHECK_FAILS(tar_verify(build, path, &err), &err, ERROR_DATA_LOSS, "");
	REQUIRE_OK(image_add_dir(&build->image, "zz", 0755, &err), &err);
	put_file(path, bytes, n, 0600);
	image_sort(&build->image);
	CHECK_FAILS(tar_verify(build, path, &err), &err, ERROR_DATA_LOSS, "/zz: wrong end");
}

/* Names that lead out of a directory have no such effect in an image, or are refused. */
Test(tar, hostile_names)
{
	static const struct {
		const char *what;
		struct member members[4];
		enum error_code code;
		const char *text;
	} rows[] = {
		{ "parent", { { "../x", S_IFREG | 0644, "x" } }, ERROR_INVALID_ARGUMENT, "\"..\"" },
		{ "inner parent",
		  { { "a/../../x", S_IFREG | 0644, "x" } },
		  ERROR_INVALID_ARGUMENT,
		  "\"..\" in the path" },
		{ "link to a parent",
		  { { "x", S_IFREG | 0644, .link = "../../etc/passwd" } },
		  ERROR_INVALID_ARGUMENT,
		  "\"..\"" },
		{ "link to nothing",
		  { { "x", S_IFREG | 0644, .link = "/etc/passwd" } },
		  ERROR_NOT_FOUND,
		  "not in the image" },
		{ "link to a directory",
		  { { "d/", S_IFDIR | 0755 }, { "x", S_IFREG | 0644, .link = "d" } },
		  ERROR_INVALID_ARGUMENT,
		  "hard link to a directory" },
		{ "loop",
		  { { "a", S_IFLNK | 0777, "b" },
		    { "b", S_IFLNK | 0777, "a" },
		    { "a/x", S_IFREG | 0644, "x" } },
		  ERROR_NOT_FOUND,
		  "too many symlinks" },
		{ "below a file",
		  { { "a", S_IFREG | 0644, "x" }, { "a/x", S_IFREG | 0644, "x" } },
		  ERROR_ALREADY_EXISTS,
		  "not a directory" },
		{ "file over directory",
		  { { "a/", S_IFDIR | 0755 }, { "a", S_IFREG | 0644, "x" } },
		  ERROR_ALREADY_EXISTS,
		  "a directory exists" },
		{ "control character",
		  { { "a\nb", S_IFREG | 0644, "x" } },
		  ERROR_INVALID_ARGUMENT,
		  "control character" },
		{ "trailer",
		  { { "TRAILER!!!", S_IFREG | 0644, "x" } },
		  ERROR_INVALID_ARGUMENT,
		  "end marker" },
		{ "owner",
		  { { "x", S_IFREG | 0644, "x", .uid = UINT32_MAX } },
		  ERROR_INVALID_ARGUMENT,
		  "invalid owner 4294967295:0" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_FAILS(read_tar(rows[i].members), &err, rows[i].code, rows[i].text, "%s",
			    rows[i].what);
		image_release(&build->image);
	}
	CHECK_EQ(access("/tmp/tatami-escaped", F_OK), -1);
}

Test(tar, symlinks_lead_to_paths_of_the_image)
{
	static const struct member members[] = {
		{ "out", S_IFLNK | 0777, "/tmp" },
		{ "out/tatami-escaped", S_IFREG | 0644, "x" },
		{ "up", S_IFLNK | 0777, "../../.." },
		{ "up/y", S_IFREG | 0644, "y" },
		{ NULL },
	};

	REQUIRE_OK(read_tar(members), &err);
	CHECK_STR(describe(&build->image), "120777 0:0 out -> /tmp\n"
					   "040755 0:0 tmp\n"
					   "100644 0:0 tmp/tatami-escaped = x\n"
					   "120777 0:0 up -> ../../..\n"
					   "100644 0:0 y = y\n");
}

Test(tar, later_input_replaces)
{
	static const struct member first[] = {
		{ "a", S_IFREG | 0644, "one" },
		{ "b", S_IFREG | 0644, .link = "a" },
		{ "lib", S_IFLNK | 0777, "usr/lib" },
		{ "usr/lib/", S_IFDIR | 0755 },
		{ NULL },
	};
	static const struct member second[] = {
		{ "a", S_IFREG | 0600, "two" },
		/* A directory of the first input that a symlink leads to. */
		{ "lib/", S_IFDIR | 0755, .uid = 7 },
		{ "lib/x", S_IFREG | 0644, "x" },
		{ NULL },
	};

	REQUIRE_OK(read_tar(first), &err);
	REQUIRE_OK(read_tar(second), &err);
	CHECK_STR(describe(&build->image), "100600 0:0 a = two\n"
					   "100644 0:0 b = one [1]\n"
					   "120777 0:0 lib -> usr/lib\n"
					   "040755 0:0 usr\n"
					   "040755 0:0 usr/lib\n"
					   "100644 0:0 usr/lib/x = x\n");
}

/* GNU tar's sparse files have their holes in the image. */
Test(tar, sparse_file)
{
	char *const make[] = { "sh", "-c",
			       "truncate -s 3M sparse && printf end >>sparse && "
			       "tar -S -cf sparse.tar sparse && tar -cf plain.tar sparse && "
			       "test $(stat -c %s sparse.tar) -lt 100000",
			       NULL };
	uint8_t *a, *b;
	size_t n, m;
	char *out;

	REQUIRE_EQ(run_program(dir, NULL, make, &out), 0, "%s", out);
	REQUIRE_OK(input_tar.read(build, path_in(dir, "sparse.tar"), &err), &err);
	REQUIRE_EQ(build->image.n, 1);
	a = get_file(build->image.entries[0]->source, &n);
	b = get_file(path_in(dir, "sparse"), &m);
	REQUIRE_EQ(n, m);
	CHECK(!memcmp(a, b, n));
}

Test(tar, large_content_is_not_in_memory)
{
	auto_free char *text = malloc(100001);
	struct member members[] = { { "large", S_IFREG | 0644, text }, { NULL } };

	memset(text, 'x', 100000);
	text[100000] = '\0';
	REQUIRE_OK(read_tar(members), &err);
	REQUIRE_EQ(build->image.n, 1);
	CHECK(build->image.entries[0]->source);
	CHECK_EQ(build->image.entries[0]->data, NULL);
	CHECK_HAS(build->image.entries[0]->source, work_dir(build->work));
}

/* Every truncation and many changes of an archive are read without a crash. */
Test(tar, damaged)
{
	const char *path = path_in(dir, "in.tar");
	auto_free uint8_t *copy = NULL;
	uint8_t *bytes;
	size_t n;

	put_tar(path, all, NULL);
	bytes = get_file(path, &n);
	copy = malloc(n);
	for (size_t i = 0; i < n; i += i < 3000 ? 7 : 101) {
		memcpy(copy, bytes, n);
		copy[i] ^= (uint8_t)(1 << (i % 8));
		put_file(path, copy, n, 0600);
		(void)input_tar.read(build, path, &err);
		image_release(&build->image);
		put_file(path, bytes, i, 0600);
		(void)input_tar.read(build, path, &err);
		image_release(&build->image);
	}
	put_text(path, "this is no archive at all, but a text that is long enough to be one\n");
	CHECK_FAILS(input_tar.read(build, path, &err), &err, ERROR_DATA_LOSS, path);
	CHECK_FAILS(input_tar.read(build, path_in(dir, "none"), &err), &err, ERROR_NOT_FOUND,
		    "none");
}
