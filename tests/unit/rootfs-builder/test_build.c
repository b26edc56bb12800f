/* SPDX-License-Identifier: Apache-2.0 */
/* Whole builds in one process: order of inputs, identifiers, reports. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "lib/cleanup.h"
#include "rootfs-builder/build.h"
#include "tests/support/check.h"

static const char *dir;
static struct error err;
static struct build_spec spec;
static struct build_input inputs[3];

static void
init(void)
{
	dir = scratch_dir(NULL);
	put_elf(path_in(dir, "tatami"), EM_X86_64, NULL);
	spec = (struct build_spec){
		.init = path_in(dir, "tatami"),
		.output = path_in(dir, "out.tar"),
		.format = &output_tar,
		.arch = "x86_64",
		.machine = EM_X86_64,
		.epoch = 1735689600,
		.inputs = inputs,
		.no_sbom = true,
	};
}

TestSuite(build, .init = init, .fini = scratch_fini);

static int
run(void)
{
	struct report *report = report_new(REPORT_QUIET, "test");
	int r;

	REQUIRE(report);
	r = build_run(&spec, report, &err);
	report_free(report);
	return r;
}

/* The output of tar for the result. */
static char *
tar_says(const char *arguments)
{
	auto_free char *script = NULL;
	char *out;

	REQUIRE_GT(asprintf(&script, "tar -xf out.tar %s", arguments), 0);
	{
		char *const argv[] = { "sh", "-c", script, NULL };

		REQUIRE_EQ(run_program(dir, NULL, argv, &out), 0, "%s", out);
	}
	return out;
}

Test(build, later_inputs_and_additions_win)
{
	struct addition list[] = { { NULL, NULL }, { NULL, NULL } };
	auto_free char *add = NULL;

	for (size_t i = 0; additions[i].option; i++) {
		if (!strcmp(additions[i].option, "add"))
			list[0].kind = &additions[i];
		if (!strcmp(additions[i].option, "owner"))
			list[1].kind = &additions[i];
	}
	put_text(path_in(dir, "one/etc/a"), "one");
	put_text(path_in(dir, "one/etc/b"), "one");
	put_text(path_in(dir, "one/etc/hostname"), "mine");
	put_text(path_in(dir, "two/etc/b"), "two");
	put_text(path_in(dir, "c"), "three");
	REQUIRE_GT(asprintf(&add, "%s:/etc/c:0640:7:8", path_in(dir, "c")), 0);
	list[0].value = add;
	list[1].value = "5:6:/etc/a";
	inputs[0] = (struct build_input){ &input_dir, path_in(dir, "one") };
	inputs[1] = (struct build_input){ &input_none, NULL };
	inputs[2] = (struct build_input){ &input_dir, path_in(dir, "two") };
	spec.n_inputs = 3;
	spec.additions = list;
	spec.n_additions = 2;
	REQUIRE_OK(run(), &err);
	CHECK_STR(tar_says("-O etc/a etc/b etc/c etc/hostname"), "onetwothreemine");
	list[1].value = "5:6:/etc/none";
	CHECK_FAILS(run(), &err, ERROR_NOT_FOUND, "--owner 5:6:/etc/none: ");
}

Test(build, output_is_replaced_at_the_end)
{
	size_t n;

	put_text(spec.output, "old");
	spec.max_size = 100;
	CHECK_FAILS(run(), &err, ERROR_RESOURCE_EXHAUSTED, "exceed the limit of 100");
	CHECK_STR((char *)get_file(spec.output, &n), "old");
	spec.max_size = 0;
	spec.machine = EM_AARCH64;
	CHECK_FAILS(run(), &err, ERROR_INVALID_ARGUMENT, "/init is for x86_64");
	CHECK_STR((char *)get_file(spec.output, &n), "old");
	spec.machine = EM_X86_64;
	REQUIRE_OK(run(), &err);
	get_file(spec.output, &n);
	CHECK_GT(n, 1000);
	spec.format = &output_dir;
	CHECK_FAILS(run(), &err, ERROR_ALREADY_EXISTS, "it exists");
}

/* Identifiers depend on the image and on their purpose, and on nothing else. */
Test(build, identifiers)
{
	struct build one = { .spec = &spec, .digest = "1234" }, two = { .digest = "1235" };
	char uuid[37], other[37];
	uint8_t a[80], b[80];

	build_uuid(&one, "filesystem-uuid", uuid);
	build_uuid(&one, "filesystem-uuid", other);
	CHECK_STR(uuid, other);
	CHECK_EQ(uuid[14], '4');
	CHECK(strchr("89ab", uuid[19]));
	CHECK_EQ(strlen(uuid), 36);
	build_uuid(&one, "hash-seed", other);
	CHECK(strcmp(uuid, other) != 0);
	build_uuid(&two, "filesystem-uuid", other);
	CHECK(strcmp(uuid, other) != 0);
	/* A longer seed begins with the shorter one, and does not repeat. */
	build_seed(&one, "salt", a, sizeof(a));
	build_seed(&one, "salt", b, 32);
	CHECK(!memcmp(a, b, 32));
	CHECK(memcmp(a, a + 32, 32) != 0);
}

Test(build, report)
{
	static const char want[] = "{\"ok\":true,\"files\":[{\"path\":\"x\\\"y\",\"bytes\":7}],"
				   "\"facts\":{\"root_hash\":\"abc\"},\"warnings\":[\"w 1\"],"
				   "\"steps\":[{\"step\":\"one\",\"milliseconds\":";
	struct report *report = report_new(REPORT_JSON, "test");
	const char *path = path_in(dir, "out");
	size_t n;

	REQUIRE(report && freopen(path, "we", stdout));
	report_step(report, "%s", "one");
	report_progress(report, 1, 2);
	report_warn(report, "w %d", 1);
	report_fact(report, "root_hash", "abc");
	report_file(report, "x\"y", 7);
	CHECK_EQ(report_finish(report, NULL), 0);
	report_free(report);
	CHECK(!strncmp((char *)get_file(path, &n), want, strlen(want)), "%s",
	      (char *)get_file(path, &n));
	REQUIRE(freopen("/dev/full", "we", stdout));
	report = report_new(REPORT_TEXT, "test");
	report_file(report, "x", 7);
	CHECK_EQ(report_finish(report, NULL), -1);
	report_free(report);
}
