/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of tatami-rootfs and tatami-initrd. */
#include "rootfs-builder/options.h"

#include <stdlib.h>

#include "lib/cleanup.h"
#include "rootfs-builder/initrd.h"
#include "tests/unit/rootfs-builder/fixture.h"

static const struct addition_kind kinds[] = {
	{ "first", "A", "", NULL },
	{ "second", "B", "", NULL },
	{ NULL, NULL, NULL, NULL },
};
static const struct options_program rootfs = {
	.program = OPTIONS_ROOTFS,
	.name = "rootfs",
	.usage = "",
	.additions = kinds,
};
static const struct options_program initrd = {
	.program = OPTIONS_INITRD,
	.name = "initrd",
	.usage = "",
};
static struct options options;

static void
init(void)
{
	REQUIRE_EQ(unsetenv("SOURCE_DATE_EPOCH"), 0);
}

static void
fini(void)
{
	options_release(&options);
}

TestSuite(options, .init = init, .fini = fini);

/* Parses a command line whose words are separated by spaces. */
static int
parse(const struct options_program *program, const char *line)
{
	static char text[512];
	char *argv[32], *save = NULL;
	int argc = 0;

	REQUIRE(strlen(line) < sizeof(text));
	(void)stpcpy(text, line);
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	argv[argc] = NULL;
	options_release(&options);
	return options_parse(&options, program, argc, argv);
}

Test(options, both_programs)
{
	const struct options_program *programs[] = { &rootfs, &initrd };

	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		const struct build_spec *spec = &options.build;

		REQUIRE_EQ(parse(programs[i],
				 "x -o out --init=i -a agent --keep-init --keep-owners -m dir "
				 "--module a --module b --no-default-modules --modules-as-is "
				 "--arch riscv64 --epoch 7 -c lz4 --max-size 3M -q"),
			   -1);
		CHECK_STR(spec->output, "out");
		CHECK_STR(spec->init, "i");
		CHECK_STR(spec->agent, "agent");
		CHECK(spec->keep_init && spec->keep_owners);
		CHECK_STR(spec->modules_dir, "dir");
		CHECK_STR(spec->modules[0], "a");
		CHECK_STR(spec->modules[1], "b");
		CHECK_EQ(spec->modules[2], NULL);
		CHECK(spec->no_default_modules && spec->modules_as_is);
		CHECK_STR(spec->arch, "riscv64");
		CHECK_EQ(spec->epoch, 7u);
		CHECK_EQ(spec->compress, PACK_LZ4);
		CHECK(spec->has_compress && options.quiet);
		CHECK_EQ(spec->max_size, (uint64_t)3 << 20);
	}
}

Test(options, additions_in_order)
{
	REQUIRE_EQ(parse(&rootfs, "x -o out -i i --second 1 -F a --first 2 --from b --second 3"),
		   -1);
	REQUIRE_EQ(options.build.n_additions, 3u);
	CHECK_EQ(options.build.additions[0].kind, &kinds[1]);
	CHECK_STR(options.build.additions[0].value, "1");
	CHECK_EQ(options.build.additions[1].kind, &kinds[0]);
	CHECK_STR(options.build.additions[1].value, "2");
	CHECK_EQ(options.build.additions[2].kind, &kinds[1]);
	CHECK_STR(options.build.additions[2].value, "3");
	CHECK_STR(options.from[0], "a");
	CHECK_STR(options.from[1], "b");
	CHECK_EQ(options.from[2], NULL);
}

Test(options, defaults)
{
	REQUIRE_EQ(parse(&rootfs, "x -o out -i i"), -1);
	CHECK_EQ(options.build.epoch, INITRD_EPOCH);
	CHECK_EQ(options.build.compress, PACK_GZIP);
	CHECK(!options.build.has_compress);
	/* No program is needed for an image of files, nor to list one. */
	CHECK_EQ(parse(&rootfs, "x -o out --rootfs-only"), -1);
	REQUIRE_EQ(parse(&initrd, "x --list file"), -1);
	CHECK_STR(options.list, "file");
}

Test(options, time)
{
	REQUIRE_EQ(setenv("SOURCE_DATE_EPOCH", "5", 1), 0);
	REQUIRE_EQ(parse(&initrd, "x -o out -i i"), -1);
	CHECK_EQ(options.build.epoch, 5u);
	/* The option wins, also with the default value. */
	REQUIRE_EQ(parse(&initrd, "x -o out -i i --epoch 1735689600"), -1);
	CHECK_EQ(options.build.epoch, INITRD_EPOCH);
	REQUIRE_EQ(setenv("SOURCE_DATE_EPOCH", "", 1), 0);
	REQUIRE_EQ(parse(&initrd, "x -o out -i i"), -1);
	CHECK_EQ(options.build.epoch, INITRD_EPOCH);
	REQUIRE_EQ(setenv("SOURCE_DATE_EPOCH", "yesterday", 1), 0);
	CHECK_EQ(parse(&rootfs, "x -o out -i i"), EXIT_USAGE);
	CHECK_EQ(parse(&rootfs, "x -o out -i i --epoch 1"), -1);
}

Test(options, sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} rows[] = {
		{ "1", 1 },
		{ "2K", 2048 },
		{ "8589934591G", UINT64_C(8589934591) << 30 },
	};
	static const char *const invalid[] = { "", "K", "1k", "-1", "1KK", "8589934592G", "1 " };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *argv[] = { (char *)"x",          (char *)"-oout",      (char *)"-ii",
				 (char *)"--max-size", (char *)rows[i].text, NULL };

		options_release(&options);
		REQUIRE_EQ(options_parse(&options, &initrd, 5, argv), -1, "%s", rows[i].text);
		CHECK_EQ(options.build.max_size, rows[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(invalid); i++) {
		char *argv[] = { (char *)"x",          (char *)"-oout",    (char *)"-ii",
				 (char *)"--max-size", (char *)invalid[i], NULL };

		options_release(&options);
		CHECK_EQ(options_parse(&options, &initrd, 5, argv), EXIT_USAGE, "%s", invalid[i]);
	}
}

Test(options, refused)
{
	static const struct {
		const struct options_program *program;
		const char *line;
	} rows[] = {
		{ &initrd, "x" },
		{ &initrd, "x -o" },
		{ &initrd, "x -o out --rootfs-only" },
		{ &initrd, "x -o out -i i --format disk" },
		{ &initrd, "x -o out -i i --first 1" },
		{ &initrd, "x -o out -i i --module m" },
		{ &initrd, "x -o out -i i --no-default-modules" },
		{ &initrd, "x -o out -i i -c rar" },
		{ &initrd, "x -o out -i i --epoch 4294967296" },
		{ &initrd, "x -o out -i i more" },
		{ &rootfs, "x -o out -i i --tree t" },
		{ &rootfs, "x -o out -i i --list l" },
		{ &rootfs, "x -o out -i i --no-such-option" },
		{ &rootfs, "x -i i" },
		/* There is no program tatami next to this test. */
		{ &rootfs, "x -o out" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_EQ(parse(rows[i].program, rows[i].line), EXIT_USAGE, "%s", rows[i].line);
	CHECK_EQ(parse(&initrd, "x --no-such-option --help"), EXIT_USAGE);
	CHECK_EQ(parse(&initrd, "x --help --no-such-option"), EXIT_DONE);
	CHECK_EQ(parse(&rootfs, "x -V"), EXIT_DONE);
}
