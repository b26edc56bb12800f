/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and checks of storage requests. */
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/storage/driver.h"
#include "agent/storage/spec.h"
#include "agent/storage/storage.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "tests/support/check.h"

static const char *const options[] = { "ro", "size=1M", "" };
static const char *const driver_options[] = { "create_filesystem" };

static struct storage_spec
example(void)
{
	return (struct storage_spec){ .driver = "ephemeral",
				      .source = "tmpfs",
				      .fstype = "tmpfs",
				      .mount_point = "/run/pod/shm",
				      .options = options,
				      .n_options = ARRAY_LEN(options),
				      .driver_options = driver_options,
				      .n_driver_options = ARRAY_LEN(driver_options),
				      .has_fs_group = true,
				      .fs_group_id = 7,
				      .fs_group_policy = FS_GROUP_ON_ROOT_MISMATCH,
				      .shared = true };
}

Test(storage_spec, a_copy_is_deep)
{
	char source[] = "tmpfs", option[] = "ro";
	const char *list[] = { option };
	struct storage_spec spec = example();
	struct storage_spec *copy;

	spec.source = source;
	spec.options = list;
	spec.n_options = 1;
	copy = storage_spec_copy(&spec);
	REQUIRE(copy);
	memset(source, 'x', sizeof(source));
	memset(option, 'x', sizeof(option));
	list[0] = NULL;
	REQUIRE_STR(copy->source, "tmpfs");
	REQUIRE_STR(copy->options[0], "ro");
	REQUIRE_EQ(copy->n_options, 1);
	REQUIRE_STR(copy->driver, "ephemeral");
	REQUIRE_STR(copy->fstype, "tmpfs");
	REQUIRE_STR(copy->mount_point, "/run/pod/shm");
	REQUIRE_STR(copy->driver_options[0], "create_filesystem");
	REQUIRE(copy->has_fs_group && copy->shared);
	REQUIRE_EQ(copy->fs_group_id, 7);
	REQUIRE_EQ(copy->fs_group_policy, FS_GROUP_ON_ROOT_MISMATCH);
	free(copy);
}

Test(storage_spec, a_copy_of_empty_lists_and_strings)
{
	struct storage_spec spec = { .driver = "", .source = "", .fstype = "", .mount_point = "" };
	struct storage_spec *copy = storage_spec_copy(&spec);

	REQUIRE(copy);
	REQUIRE_EQ(copy->n_options, 0);
	REQUIRE_STR(copy->mount_point, "");
	free(copy);
}

/* One option of a host, and the options that it stands for, in brackets. */
static const char *const joined[][2] = {
	{ "", "" },
	{ ",", "" },
	{ ",,", "" },
	{ "ro", "[ro]" },
	{ "size=1M,noexec", "[size=1M][noexec]" },
	{ ",size=1M,,noexec,", "[size=1M][noexec]" },
	{ "trans=virtio,version=9p2000.L,cache=mmap",
	  "[trans=virtio][version=9p2000.L][cache=mmap]" },
	{ "context=\"system_u:object_r:x:s0:c1,c2\",ro",
	  "[context=\"system_u:object_r:x:s0:c1,c2\"][ro]" },
	{ "lowerdir=/a\\,b:/c,ro", "[lowerdir=/a\\,b:/c][ro]" },
	{ "a\\", "[a\\]" },
	{ "a\\\\,b", "[a\\\\][b]" },
	{ "\"a,b", "[\"a,b]" },
};

Test(storage_spec, options_joined_by_commas)
{
	for (size_t i = 0; i < ARRAY_LEN(joined); i++) {
		const char *list[] = { "first", joined[i][0], "last" };
		struct storage_spec spec = example();
		struct storage_spec *copy;
		char want[256], got[256] = "";

		spec.options = list;
		spec.n_options = ARRAY_LEN(list);
		copy = storage_spec_copy(&spec);
		REQUIRE(copy);
		for (size_t k = 0; k < copy->n_options; k++)
			(void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "[%s]",
				       copy->options[k]);
		(void)snprintf(want, sizeof(want), "[first]%s[last]", joined[i][1]);
		CHECK_STR(got, want, "%s: %s", joined[i][0], got);
		CHECK_STR(copy->driver_options[0], "create_filesystem");
		CHECK_STR(copy->mount_point, "/run/pod/shm");
		free(copy);
	}
}

Test(storage_spec, slashes_at_the_end_do_not_count)
{
	struct storage_spec spec = example();
	struct storage_spec *copy;

	spec.mount_point = "/run/pod/shm/";
	copy = storage_spec_copy(&spec);
	REQUIRE(copy);
	REQUIRE_STR(copy->mount_point, "/run/pod/shm");
	free(copy);
}

Test(storage_spec, the_same_is_driver_source_and_type)
{
	struct storage_spec a = example(), b = example();

	b.n_options = 0;
	b.shared = false;
	REQUIRE(storage_spec_same(&a, &b));
	b.source = "other";
	REQUIRE(!storage_spec_same(&a, &b));
	b = a;
	b.fstype = "hugetlbfs";
	REQUIRE(!storage_spec_same(&a, &b));
	b = a;
	b.driver = "local";
	REQUIRE(!storage_spec_same(&a, &b));
}

static void
expect(const struct storage_spec *spec, const char *text)
{
	struct error err = ERROR_INIT;
	struct storage_spec *copy = storage_spec_copy(spec);
	int r;

	REQUIRE(copy);
	r = storage_spec_check(copy, &err);
	free(copy);
	if (!text) {
		REQUIRE_EQ(r, 0, "%s", err.msg);
		return;
	}
	REQUIRE_EQ(r, -1, "accepted: wanted \"%s\" (%s, %s)", text, spec->driver, spec->source);
	REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(err.msg, text, "\"%s\" has no \"%s\"", err.msg, text);
}

Test(storage_spec, mount_points_are_plain_absolute_paths)
{
	static const char *const good[] = { "/a", "/a/b", "/a/b/", "/a/..b/.c/d..", "/ " };
	static const char *const bad[] = { "",      "/",       "a",      "a/b", "/a//b",
					   "//a",   "/a/../b", "/a/./b", "/..", "/.",
					   "/a/..", "/a/.",    "./a",    "//" };
	struct storage_spec spec = example();
	char *long_path = malloc(5000);

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		spec.mount_point = good[i];
		expect(&spec, NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		spec.mount_point = bad[i];
		expect(&spec, "mount_point");
	}
	REQUIRE(long_path);
	memset(long_path, 'a', 4999);
	long_path[0] = '/';
	long_path[4999] = '\0';
	spec.mount_point = long_path;
	expect(&spec, "mount_point");
	free(long_path);
}

/* A row: what is set in the example, and what the refusal says (NULL: none). */
struct row {
	const char *driver, *source, *fstype, *option, *driver_option, *text;
};

static const struct row rows[] = {
	{ "nosuch", "", "", NULL, NULL, TEXT_NO_STORAGE_HANDLER " nosuch" },
	{ "", "", "", NULL, NULL, TEXT_NO_STORAGE_HANDLER },
	{ "ephemeral", "tmpfs", "tmpfs", "fsgid=100", NULL, NULL },
	{ "ephemeral", "tmpfs", "tmpfs", "fsgid=ten", NULL, "invalid fsgid \"ten\"" },
	{ "ephemeral", "tmpfs", "", NULL, NULL, "fstype" },
	{ "ephemeral", "none", "hugetlbfs", "pagesize=2097152,size=4194304", NULL, NULL },
	{ "ephemeral", "none", "hugetlbfs", "size=4194304", NULL, "pagesize" },
	{ "ephemeral", "none", "hugetlbfs", "pagesize=2097152,size=1", NULL, "pagesize" },
	{ "ephemeral", "none", "hugetlbfs", "pagesize=0,size=1", NULL, "pagesize" },
	{ "ephemeral", "none", "hugetlbfs", "pagesize=x,size=1", NULL, "pagesize" },
	{ "local", "local", "local", "mode=0777", NULL, NULL },
	{ "local", "local", "local", "mode=0999", NULL, "invalid mode \"0999\"" },
	{ "local", "local", "local", "mode=10000", NULL, "invalid mode \"10000\"" },
	{ "local", "local", "local", "fsgid=-1", NULL, "invalid fsgid \"-1\"" },
	{ "bind", "/a", "bind", NULL, NULL, NULL },
	{ "bind", "a", "bind", NULL, NULL, "not an absolute path" },
	{ "blk", "02", "ext4", NULL, NULL, NULL },
	{ "blk", "02", "", NULL, NULL, "fstype" },
	{ "blk", "02", "ext4", NULL, "create_filesystem", NULL },
	{ "blk", "02", "xfs", NULL, "create_filesystem", NULL },
	{ "blk", "02", "btrfs", NULL, "create_filesystem", NULL },
	{ "blk", "02", "erofs", NULL, "create_filesystem", "create_filesystem" },
	{ "blk", "02", "vfat", NULL, "create_filesystem", "create_filesystem" },
	{ "blk", "0:1", "ext4", NULL, NULL, "invalid PCI path" },
	{ "scsi", "0:1", "xfs", NULL, NULL, NULL },
	{ "scsi", "0:1", "", NULL, NULL, "scsi requires an fstype" },
	{ "scsi", "02", "ext4", NULL, NULL, "invalid SCSI address" },
	{ "mmioblk", "/dev/vdb", "erofs", NULL, NULL, NULL },
	{ "mmioblk", "/dev/../sda", "ext4", NULL, NULL, "expected /dev/<name>" },
	{ "nvdimm", "/dev/pmem0", "ext4", "dax", NULL, NULL },
	{ "nvdimm", "0", "ext4", "dax", NULL, "expected /dev/<name>" },
	{ "blk-ccw", "0.0.0005", "ext4", NULL, NULL, NULL },
	{ "blk-ccw", "05", "ext4", NULL, NULL, "invalid CCW device" },
};

Test(storage_spec, drivers_check_their_fields)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct storage_spec spec = example();

		spec.driver = r->driver;
		spec.source = r->source;
		spec.fstype = r->fstype;
		spec.options = &r->option;
		spec.n_options = r->option ? 1 : 0;
		spec.driver_options = &r->driver_option;
		spec.n_driver_options = r->driver_option ? 1 : 0;
		expect(&spec, r->text);
	}
}

/* Fields of a storage that every driver with such a field accepts. */
static struct storage_spec
valid(const char *driver)
{
	static const char *const layers[] = { "lowerdir=/a:/b" };
	static const char *const sources[][2] = {
		{ "blk", "02" },           { "scsi", "0:1" },
		{ "mmioblk", "/dev/vdb" }, { "nvdimm", "/dev/pmem0" },
		{ "blk-ccw", "0.0.0005" }, { "bind", "/a" },
		{ "watchable-bind", "/a" }
	};
	static const char *const image[] = { "image_guest_pull={\"metadata\":{\"x\":\"y\"}}" };
	struct storage_spec spec = example();

	spec.driver = driver;
	spec.options = layers;
	spec.n_options = ARRAY_LEN(layers);
	spec.driver_options = image;
	spec.n_driver_options = strcmp(driver, "image_guest_pull") == 0 ? 1 : 0;
	if (strcmp(driver, "watchable-bind") == 0)
		spec.mount_point = "/run/kata-containers/shared/containers/watchable/x";
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		if (strcmp(sources[i][0], driver) == 0)
			spec.source = sources[i][1];
	return spec;
}

/* Whatever the driver, these strings name nothing outside of what the host may name. The protocol
 * refuses a NUL in a string. */
Test(storage_spec, hostile_strings_are_refused_by_every_driver)
{
	static const char *const points[] = {
		"",
		"/",
		"relative",
		"/run/kata-containers/shared/containers/watchable/../../../../../etc",
		"/run/kata-containers/sandbox/storage/..",
		"/run/kata-containers//x",
		"/./x",
		"../x",
	};
	static const char *const addresses[] = {
		"",
		"/dev/../etc/passwd",
		"/dev/./vda",
		"/dev/a/../../etc/passwd",
		"/dev//vda",
		"/dev/",
		"/dev",
		"/devil",
		"/etc/passwd",
		"../dev/vda",
		"02/../03",
		"02/",
		"/02",
		"02,ro",
		"02\n",
		" 02",
		"02 ",
		"-1",
		"100",
		"0x02",
		"0:1,ro",
		"0:1\n",
		"0.0.0005/..",
		"0.0.0005\n",
		"/dev/vdb\n/dev/vdc/..",
	};
	size_t n = 0, disks = 0;
	const char *driver;

	for (; (driver = storage_driver_name(n)); n++) {
		struct storage_spec spec = valid(driver);

		expect(&spec, NULL);
		for (size_t i = 0; i < ARRAY_LEN(points); i++) {
			spec.mount_point = points[i];
			expect(&spec, "");
		}
		spec = valid(driver);
		if (!storage_driver_find(driver)->is_disk)
			continue;
		disks++;
		for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
			/* Without a slash it may be the name of a platform device. */
			if (strcmp(driver, "mmioblk") == 0 && !strchr(addresses[i], '/'))
				continue;
			spec.source = addresses[i];
			expect(&spec, "");
		}
	}
	REQUIRE_GE(n, 13);
	REQUIRE_GE(disks, 5);
}

/* Names as long as the kernel takes them, and longer. */
Test(storage_spec, long_strings)
{
	static const char *const drivers[] = { "bind", "9p", "virtio-fs", "ephemeral", "local" };
	const size_t size = 1 << 20;
	auto_free char *text = malloc(size);

	REQUIRE(text);
	memset(text, 'a', size);
	text[0] = '/';
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		struct storage_spec spec = valid(drivers[i]);

		spec.mount_point = text;
		text[size - 1] = '\0';
		expect(&spec, "mount_point");
		text[PATH_MAX] = '\0';
		expect(&spec, "mount_point");
		text[PATH_MAX - 1] = '\0';
		expect(&spec, NULL);
		memset(text + 1, 'a', size - 1);
	}
}
