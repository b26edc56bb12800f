/* SPDX-License-Identifier: Apache-2.0 */
/* mkdisk: the real script with the real tools, as root and as an ordinary user. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "fixture.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

#define MIB (1u << 20)

static const char *dir;

static void
init(void)
{
	char *copy[] = { "cp", MKDISK, "mkdisk", NULL };
	char *tool[] = { "cp", TATAMI_INITRD, "tatami-initrd", NULL };
	struct utsname here;
	char *out;

	dir = scratch_dir(NULL);
	/* The user "nobody" needs access. */
	REQUIRE_EQ(chmod(dir, 0777), 0);
	REQUIRE_EQ(run_program(dir, NULL, copy, &out), 0, "%s", out);
	REQUIRE_EQ(run_program(dir, NULL, tool, &out), 0, "%s", out);
	(void)setenv("TATAMI_INITRD", path_in(dir, "tatami-initrd"), 1);
	(void)setenv("TMPDIR", dir, 1);
	REQUIRE_EQ(uname(&here), 0);
	put_elf(path_in(dir, "tatami"), strcmp(here.machine, "aarch64") ? EM_X86_64 : EM_AARCH64,
		NULL);
	put_text(path_in(dir, "tree/srv/a b"), "owned by one user\n");
	put_file(path_in(dir, "tree/usr/bin/su"), "su", 2, 04755);
}

TestSuite(disk, .init = init, .fini = scratch_fini, .timeout = 120);

/* Runs a command line in the scratch directory and returns its output. It must succeed. */
static char *
shell(const char *command)
{
	char *argv[] = { "sh", "-c", (char *)command, NULL }, *out;

	REQUIRE_EQ(run_program(dir, NULL, argv, &out), 0, "%s: %s", command, out);
	return out;
}

static void
expect_in(const char *text, const char *want)
{
	CHECK_HAS(text, want, "\"%s\" is not in: %s", want, text);
}

#define MAKE "sh ./mkdisk -o %s -- --init tatami --tree tree --owner '33:44:/srv/a b'"

static void
make_disk(const char *before, const char *name)
{
	auto_free char *command = NULL;

	REQUIRE_GT(asprintf(&command, "%s " MAKE, before, name), 0);
	expect_in(shell(command), name);
}

/* The partition table, the file system in the partition, and its content. */
Test(disk, contents)
{
	static const uint8_t entry[] = { 0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff, 0, 8, 0, 0 };
	uint8_t *bytes;
	size_t n;
	char *text;

	make_disk("", "disk");
	bytes = get_file(path_in(dir, "disk"), &n);
	REQUIRE(n >= 13 * MIB && n % MIB == 0, "%zu bytes", n);
	CHECK(!memcmp(bytes + 446, entry, sizeof(entry)));
	CHECK_EQ(bytes[458] | bytes[459] << 8 | bytes[460] << 16, (int)(n / 512 - 2048));
	CHECK(bytes[510] == 0x55 && bytes[511] == 0xaa);
	CHECK(bytes[MIB + 1080] == 0x53 && bytes[MIB + 1081] == 0xef);

	(void)shell("dd if=disk of=fs bs=1M skip=1 status=none");
	expect_in(shell("PATH=$PATH:/usr/sbin e2fsck -fn fs"), "tatami-root: 36/");
	expect_in(shell("PATH=$PATH:/usr/sbin dumpe2fs -h fs"), "has_journal");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /dev/console' fs");
	expect_in(text, "character special");
	expect_in(text, "number: 05:01");
	expect_in(text, "mtime: 0x67748580:00000000");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat \"/srv/a b\"' fs");
	expect_in(text, "User:    33   Group:    44");
	expect_in(text, "ctime: 0x67748580:00000000");
	expect_in(text, "atime: 0x67748580:00000000");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /usr/bin/su' fs");
	expect_in(text, "Mode:  04755");
	expect_in(text, "User:     0");
	expect_in(shell("PATH=$PATH:/usr/sbin debugfs -R 'cat \"/srv/a b\"' fs"),
		  "owned by one user");
	expect_in(shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /sbin/init' fs"),
		  "Fast link dest: \"/usr/bin/kata-agent\"");
}

/* The output is the same for another user, directory and umask. */
Test(disk, reproducible)
{
	const char *other = scratch_dir(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
	const char *nobody = getuid() ? ""
				      : "setpriv --reuid 65534 --regid 65534 --clear-groups "
					"--bounding-set=-all --no-new-privs ";
	auto_free char *probe = NULL, *before = NULL;
	char *argv[] = { "sh", "-c", NULL, NULL }, *one, *two;

	REQUIRE_GT(asprintf(&probe, "%s unshare -r true", nobody), 0);
	argv[2] = probe;
	if (run_program(dir, NULL, argv, NULL) != 0)
		cr_skip_test("this machine lets nobody make a user namespace");
	REQUIRE_EQ(chmod(other, 0777), 0);
	REQUIRE_GT(asprintf(&before, "umask 077; TZ=Asia/Tokyo TMPDIR=%s %s", other, nobody), 0);
	make_disk("", "one");
	make_disk(before, "two");
	one = shell("sha256sum <one");
	two = shell("sha256sum <two");
	CHECK_STR(one, two, "%s%s", one, two);
	put_text(path_in(dir, "tree/srv/a b"), "owned by another user\n");
	make_disk("", "three");
	CHECK(strcmp(one, shell("sha256sum <three")) != 0);
}

/* A failure is explained and leaves no file. */
Test(disk, failures)
{
	static const struct {
		const char *command, *why;
		int status;
	} rows[] = {
		{ "sh mkdisk -o x", "usage:", 2 },
		{ "sh mkdisk -s big -o x -- --init tatami", "usage:", 2 },
		{ "sh mkdisk -o x -- --init missing", "missing: No such file", 1 },
		{ "sh mkdisk -o x -s 4 -- --init tatami", "made no journal: 4 MiB", 1 },
		{ "head -c 20000000 /dev/urandom >tree/big;"
		  "sh mkdisk -o x -s 12 -- --init tatami --tree tree",
		  "mke2fs failed; 12 MiB", 1 },
		{ "TATAMI_INITRD=/none sh mkdisk -o x -- --init tatami", "/none is missing", 1 },
		{ "SOURCE_DATE_EPOCH=now sh mkdisk -o x -- --init tatami",
		  "not a number of seconds", 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *argv[] = { "sh", "-c", (char *)rows[i].command, NULL }, *out;
		int status = run_program(dir, NULL, argv, &out);

		CHECK_EQ(status, rows[i].status, "%s: %d", rows[i].command, status);
		expect_in(out, rows[i].why);
	}
	CHECK_STR(shell("ls -d x* tmp.* 2>/dev/null || :"), "", "%s", shell("ls"));
}
