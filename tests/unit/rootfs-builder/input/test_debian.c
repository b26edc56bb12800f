/* SPDX-License-Identifier: Apache-2.0 */
/* Debian roots: archives, packages, pruning; and tatami-rootfs with fake apt-get and mmdebstrap. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/guest/prune.h"
#include "rootfs-builder/input/debian_sources.h"
#include "rootfs-builder/sbom/packages.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

static const char *dir;

static void
init(void)
{
	dir = scratch_dir(NULL);
}

TestSuite(debian, .init = init, .fini = scratch_fini, .timeout = 120);

/* ---- archives ---- */

#define KEY "[signed-by=" DEBIAN_KEYRING "] "

/* Returns the lines that are found, each with a newline. */
static char *
lines_of(const char *suite, const char *own, const char *const *mirrors)
{
	struct debian_sources sources;
	struct error err = ERROR_INIT;
	static char text[2048];

	REQUIRE_OK(debian_sources_find(&sources, dir, suite, own, mirrors, &err), &err);
	text[0] = '\0';
	for (size_t i = 0; i < sources.n; i++) {
		size_t at = strlen(text);

		(void)snprintf(text + at, sizeof(text) - at, "%s\n", sources.lines[i]);
	}
	debian_sources_release(&sources);
	return text;
}

Test(debian, sources_of_this_system)
{
	/* Archives of others have suites with the same names. */
	put_text(path_in(dir, "sources.list"),
		 "# deb http://commented.debian.org/debian bookworm main\n"
		 "deb-src http://source.debian.org/debian bookworm main\n"
		 "deb [arch=amd64 signed-by=/usr/share/keyrings/vendor.gpg] "
		 "http://vendor.example/debian bookworm main\n"
		 "deb http://vendor.example/apt bookworm main\n"
		 "\tdeb [trusted=yes]  http://one.example/debian/  bookworm  main contrib # x\n");
	put_text(path_in(dir, "sources.list.d/a.sources"),
		 "Types: deb deb-src\n"
		 "URIs: http://two.example/debian\n"
		 " http://three.example/debian\n"
		 "Suites: bookworm\n"
		 " bookworm-updates\n"
		 "Components: main\n"
		 "# a comment\n"
		 "Signed-By: /usr/share/keyrings/debian-archive-bookworm-stable.gpg\n"
		 "\n"
		 "Types: deb\n"
		 "URIs: http://off.example/debian\n"
		 "Suites: bookworm\n"
		 "Components: main\n"
		 "Enabled: no\n"
		 "\n"
		 "Types: deb\n"
		 "URIs: http://sec.example/debian-security/\n"
		 "Suites: bookworm-security\n"
		 "Components: main\n"
		 "Signed-By:\n"
		 " -----BEGIN PGP PUBLIC KEY BLOCK-----\n");
#define OTHER "[signed-by=/usr/share/keyrings/debian-archive-bookworm-stable.gpg] "
	CHECK_STR(lines_of("bookworm", "bookworm", NULL),
		  "deb " KEY "http://one.example/debian bookworm main contrib\n"
		  "deb " OTHER "http://two.example/debian bookworm main\n"
		  "deb " OTHER "http://two.example/debian bookworm-updates main\n"
		  "deb " OTHER "http://three.example/debian bookworm main\n"
		  "deb " OTHER "http://three.example/debian bookworm-updates main\n"
		  "deb " KEY "http://sec.example/debian-security bookworm-security main\n");
	/* Another suite is looked for where this system gets its own. */
	CHECK_STR(lines_of("sid", "bookworm", NULL),
		  "deb " KEY "http://one.example/debian sid main contrib\n"
		  "deb " OTHER "http://two.example/debian sid main\n"
		  "deb " OTHER "http://three.example/debian sid main\n");
	CHECK_HAS(lines_of("trixie", "bookworm", NULL),
		  "deb " KEY "http://sec.example/debian-security trixie-security main\n");
}

Test(debian, sources_of_a_system_that_is_not_debian)
{
	CHECK_STR(lines_of("bookworm", "", NULL),
		  "deb " KEY "http://deb.debian.org/debian bookworm main\n");
}

Test(debian, mirrors)
{
	static const char *const good[] = { "http://m.example/debian/",
					    "deb [trusted=yes] file:/srv/debs ./", NULL };
	static const char *const bad[] = { "m.example", "deb-src http://x y z", "http://a b",
					   "deb http://x y z\ndeb http://evil y z" };
	struct debian_sources sources;
	struct error err = ERROR_INIT;

	CHECK_STR(lines_of("bookworm", "bookworm", good),
		  "deb " KEY "http://m.example/debian bookworm main\n"
		  "deb [trusted=yes] file:/srv/debs ./\n");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *const list[] = { bad[i], NULL };

		CHECK_FAILS(debian_sources_find(&sources, dir, "bookworm", "", list, &err), &err,
			    ERROR_INVALID_ARGUMENT, "invalid mirror", "%s", bad[i]);
		debian_sources_release(&sources);
	}
}

/* ---- packages ---- */

static void
add_text(struct image *image, const char *path, const char *text)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(image_add_data(image, path, 0644, text, strlen(text), &err), &err);
}

Test(debian, licenses)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "GPL-2+", "GPL-2.0-or-later" },
		{ "Expat", "MIT" },
		{ "BSD-3-clause or GPL-2", "BSD-3-Clause OR GPL-2.0-only" },
		{ "GPL-2.0-only AND LGPL-2.1-or-later", "GPL-2.0-only AND LGPL-2.1-or-later" },
		{ "GPL-2+ or other", NULL },
		{ "public-domain", NULL },
		{ "or", NULL },
		{ "MIT or", NULL },
		{ "MIT ISC", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_free char *got = packages_license(rows[i].text);

		if (rows[i].want)
			CHECK_STR(got, rows[i].want);
		else
			CHECK_EQ(got, NULL, "%s: %s", rows[i].text, got);
	}
}

Test(debian, packages_of_dpkg)
{
	struct packages packages = { 0 };
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;

	REQUIRE_OK(image_add_symlink(&image, "bin", "usr/bin", &err), &err);
	add_text(&image, "etc/os-release", "NAME=x\nID=debian\nVERSION_ID=\"12\"\n");
	add_text(&image, "var/lib/dpkg/status",
		 "Package: hello\nStatus: install ok installed\nVersion: 1:2.0-1\n"
		 "Architecture: amd64\nSource: hello-src (2.0)\nDescription: x\n Package: no\n"
		 "\n"
		 "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
		 "\n"
		 "Package: libmulti\nStatus: install ok installed\nArchitecture: amd64\n"
		 "Version: 3\n");
	add_text(&image, "var/lib/dpkg/info/hello.list", "/.\n/bin\n/bin/hello\n/etc/missing\n");
	add_text(&image, "var/lib/dpkg/info/libmulti:amd64.list", "/usr/lib/libmulti.so\n");
	add_text(&image, "usr/share/doc/hello/copyright",
		 "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
		 "Files: debian/*\nLicense: ISC\n\nFiles: *\nCopyright: x\nLicense: GPL-3+\n");
	add_text(&image, "usr/bin/hello", "x");
	add_text(&image, "usr/lib/libmulti.so", "x");
	add_text(&image, "usr/bin/mine", "x");
	REQUIRE_OK(packages_read(&packages, &image, &err), &err);
	REQUIRE_EQ(packages.n, 2u);
	CHECK_STR(packages.distribution, "debian");
	CHECK_STR(packages.release, "12");
	CHECK_STR(packages.items[0].type, "deb");
	CHECK_STR(packages.items[0].name, "hello");
	CHECK_STR(packages.items[0].version, "1:2.0-1");
	CHECK_STR(packages.items[0].source, "hello-src (2.0)");
	CHECK_STR(packages.items[0].license, "GPL-3.0-or-later");
	CHECK_STR(packages.items[1].name, "libmulti");
	CHECK(packages_own(&packages, "usr/bin/hello"));
	CHECK(packages_own(&packages, "usr/lib/libmulti.so"));
	CHECK(!packages_own(&packages, "usr/bin/mine"));
	packages_release(&packages);
	image_release(&image);
}

Test(debian, packages_of_an_image_without_dpkg)
{
	struct packages packages = { 0 };
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;

	add_text(&image, "var/lib/dpkg/status.d/base", "Package: base\nVersion: 1\n");
	add_text(&image, "var/lib/dpkg/status.d/base.md5sums", "Package: no\nVersion: 1\n");
	add_text(&image, "var/lib/rpm/rpmdb.sqlite", "x");
	REQUIRE_OK(packages_read(&packages, &image, &err), &err);
	REQUIRE_EQ(packages.n, 1u);
	CHECK_STR(packages.items[0].name, "base");
	CHECK(packages.has_rpm);
	packages_release(&packages);
	image_release(&image);
}

#define APK                                                                                        \
	"C:Q1abc=\nP:musl\nV:1.2.4-r2\nA:x86_64\nS:1\nT:the C library\nU:https://musl.libc.org/\n" \
	"L:MIT\no:musl\nm:A <a@b>\nF:lib\nR:ld-musl-x86_64.so.1\na:0:0:755\nZ:Q1x=\n\n"            \
	"P:busybox\nV:1.36-r5\nA:x86_64\nL:GPL-2.0-only\nF:bin\nR:busybox\n"

Test(debian, packages_of_apk)
{
	struct packages packages = { 0 };
	struct image image = IMAGE_INIT;
	struct error err = ERROR_INIT;

	add_text(&image, "lib/apk/db/installed", APK);
	add_text(&image, "lib/ld-musl-x86_64.so.1", "x");
	add_text(&image, "bin/busybox", "x");
	REQUIRE_OK(packages_read(&packages, &image, &err), &err);
	REQUIRE_EQ(packages.n, 2u);
	CHECK_STR(packages.items[0].type, "apk");
	CHECK_STR(packages.items[0].name, "musl");
	CHECK_STR(packages.items[0].license, "MIT");
	CHECK_STR(packages.items[1].version, "1.36-r5");
	CHECK(packages_own(&packages, "bin/busybox"));
	CHECK(packages_own(&packages, "lib/ld-musl-x86_64.so.1"));
	packages_release(&packages);

	add_text(&image, "lib/apk/db/installed", "P:musl\nno colon\n");
	CHECK_FAILS(packages_read(&packages, &image, &err), &err, ERROR_INVALID_ARGUMENT,
		    "invalid line \"no colon\"");
	packages_release(&packages);
	image_release(&image);
}

Test(debian, pruning)
{
	static const char *const gone[] = { "usr/share/doc/a/copyright", "usr/share/doc/a",
					    "var/log/nginx/error.log",   "etc/passwd-",
					    "usr/lib/x/gconv/KOI8-R.so", "var/lib/apt/lists/x" };
	static const char *const stays[] = { "usr/share/doc", "var/log/nginx", "etc/passwd",
					     "var/lib/dpkg/status" };
	struct image image = IMAGE_INIT;

	for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
		if (i != 1)
			add_text(&image, gone[i], "x");
	}
	add_text(&image, "etc/passwd", "x");
	add_text(&image, "var/lib/dpkg/status", "x");
	CHECK_GE(prune_image(&image, prune_rules), ARRAY_LEN(gone));
	for (size_t i = 0; i < ARRAY_LEN(gone); i++)
		CHECK_EQ(image_find(&image, gone[i]), NULL, "%s", gone[i]);
	for (size_t i = 0; i < ARRAY_LEN(stays); i++)
		CHECK_NE(image_find(&image, stays[i]), NULL, "%s", stays[i]);
	image_release(&image);
}

/* ---- the program with fake tools ---- */

static char *
content(const char *name)
{
	size_t n;

	return (char *)get_file(path_in(dir, name), &n);
}

/* Prepares a root for the fake mmdebstrap, which counts its runs. */
static void
make_tools(void)
{
	struct utsname here;

	REQUIRE_EQ(uname(&here), 0);
	put_text(path_in(dir, "apt/sources.list"), "deb http://m.example/debian bookworm main\n");
	put_text(path_in(dir, "root/etc/hostname"), "builder\n");
	put_text(path_in(dir, "root/etc/resolv.conf"), "nameserver 192.0.2.1\n");
	put_text(path_in(dir, "root/etc/apt/apt.conf.d/99mmdebstrap"), "x\n");
	put_text(path_in(dir, "root/usr/share/doc/a/README"), "text\n");
	put_text(path_in(dir, "root/usr/bin/tool"), "tool\n");
	put_text(path_in(dir, "root/var/lib/dpkg/status"),
		 "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n");
	put_text(path_in(dir, "bin/apt-get"),
		 "#!/bin/sh\n"
		 "while test \"$1\" != -c; do shift; done\n"
		 "case \"$*\" in *update*) ;; *) exit 0 ;; esac\n"
		 "test ! -e $FAKE/no-network || { echo 'E: no network' >&2; exit 100; }\n"
		 "cp $FAKE/release \"${2%/*}/state/lists/m.example_InRelease\"\n");
	put_text(path_in(dir, "bin/mmdebstrap"),
		 "#!/bin/sh\n"
		 "test \"$1\" != --version || { echo mmdebstrap 9; exit; }\n"
		 "echo \"$*\" >>$FAKE/runs\n"
		 "for to; do case $to in *.tar) break ;; esac; done\n"
		 "test ! -e $FAKE/fails || { echo half >$to; echo 'E: no such package' >&2; "
		 "exit 1; }\n"
		 "tar -C $FAKE/root -c -f $to .\n");
	put_text(path_in(dir, "release"), "one\n");
	REQUIRE_EQ(chmod(path_in(dir, "bin/apt-get"), 0755), 0);
	REQUIRE_EQ(chmod(path_in(dir, "bin/mmdebstrap"), 0755), 0);
	(void)setenv("FAKE", dir, 1);
	(void)setenv("TATAMI_DEBIAN_ETC", path_in(dir, "apt"), 1);
	(void)setenv("TATAMI_CACHE", path_in(dir, "cache"), 1);
}

/* Runs a shell command with the fake tools in PATH. tool.c passes PATH only: the tools have FAKE in
 * their text. */
static int
shell(char **out, const char *format, ...)
{
	auto_free char *command = NULL, *all = NULL;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vasprintf(&command, format, ap);
	va_end(ap);
	REQUIRE_GT(n, 0);
	REQUIRE_GT(asprintf(&all,
			    "sed -i \"s#\\$FAKE#$FAKE#g\" bin/*; PATH=$FAKE/bin:$PATH; "
			    "R='" TATAMI_ROOTFS " -q --rootfs-only -f dir'; %s",
			    command),
		   0);

	char *argv[] = { "sh", "-c", all, NULL };

	return run_program(dir, NULL, argv, out);
}

#define MUST(...)                                                       \
	do {                                                            \
		char *said_;                                            \
		REQUIRE_EQ(shell(&said_, __VA_ARGS__), 0, "%s", said_); \
	} while (0)

static bool
needs_root(void)
{
	if (geteuid() == 0)
		return false;
	cr_skip_test("needs root, which needs no subordinate ids");
	return true;
}

Test(debian, root)
{
	if (needs_root())
		return;
	make_tools();
	MUST("$R -o out --from debian:bookworm --package extra");
	CHECK_STR(content("out/etc/hostname"), "localhost\n");
	CHECK_STR(content("out/etc/resolv.conf"), "");
	CHECK_STR(content("out/etc/machine-id"), "");
	CHECK_STR(content("out/usr/bin/tool"), "tool\n");
	CHECK_NE(access(path_in(dir, "out/usr/share/doc/a"), F_OK), 0);
	CHECK_NE(access(path_in(dir, "out/etc/apt/apt.conf.d/99mmdebstrap"), F_OK), 0);
	MUST("grep -q -e '--include=extra .* bookworm .*/debian.tar deb .*m.example/debian "
	     "bookworm main' runs");
	CHECK_HAS(content("out.spdx.json"), "pkg:deb/debian/a@1");
}

Test(debian, cache)
{
	if (needs_root())
		return;
	make_tools();
	MUST("$R -o 1 --from debian:bookworm && $R -o 2 --from debian:bookworm && "
	     "$R -o 3 --from debian:bookworm --offline && diff -r 1 2 && diff -r 1 3 && "
	     "test $(wc -l <runs) = 1");
	/* Other packages, another variant, another time and newer lists make another root. */
	MUST("$R -o 4 --from debian:bookworm --package b && test $(wc -l <runs) = 2 && "
	     "$R -o 5 --from debian:bookworm:minbase && test $(wc -l <runs) = 3 && "
	     "$R -o 6 --from debian:bookworm --epoch 5 && test $(wc -l <runs) = 4 && "
	     "echo two >release && $R -o 7 --from debian:bookworm && test $(wc -l <runs) = 4 && "
	     "$R -o 8 --from debian:bookworm --refresh && test $(wc -l <runs) = 5");
	/* Without network the old lists do. */
	MUST("touch no-network && $R -o 9 --from debian:bookworm --refresh && "
	     "test $(wc -l <runs) = 5");
	MUST("for i in 1 2 3 4; do $R -o x$i --from debian:bookworm --epoch $i || exit; done; "
	     "test $(ls cache/debian/root-*.tar.zst | wc -l) = 6");
}

Test(debian, unpruned)
{
	if (needs_root())
		return;
	make_tools();
	MUST("$R -o out --from debian:bookworm --no-prune");
	CHECK_STR(content("out/usr/share/doc/a/README"), "text\n");
}

/* A failure is explained, and leaves neither output nor a root in the cache. */
Test(debian, failures)
{
	static const struct {
		const char *command, *why;
	} rows[] = {
		{ "$R -o out --from debian:Book_worm", "invalid Debian suite \"Book_worm\"" },
		{ "$R -o out --from debian:--version", "invalid Debian suite" },
		{ "$R -o out --from debian:bookworm:big", "invalid variant \"big\"" },
		{ "$R -o out --from debian:bookworm --package -x", "invalid package name \"-x\"" },
		{ "$R -o out --from debian:bookworm --mirror example.org", "invalid mirror" },
		{ "$R -o out --from debian:bookworm --offline", "build once without --offline" },
		{ "touch no-network; $R -o out --from debian:bookworm",
		  "failed to read the package lists of bookworm: apt-get failed with status 100: "
		  "E: no network" },
		{ "rm no-network; touch fails; $R -o out --from debian:bookworm",
		  "mmdebstrap failed with status 1: E: no such package" },
		{ "TATAMI_CACHE=$PWD/'a b' $R -o out --from debian:bookworm",
		  "characters in its path" },
		{ "TATAMI_CACHE= HOME= $R -o out --from debian:bookworm", "no cache directory" },
	};
	char *out;

	if (needs_root())
		return;
	make_tools();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_EQ(shell(&out, "%s", rows[i].command), 1, "%s", rows[i].command);
		CHECK_HAS(out, rows[i].why, "%s", rows[i].command);
		MUST("test ! -e out && test ! -e out.spdx.json && "
		     "test -z \"$(ls -d .tatami-rootfs* cache/debian/root* 2>/dev/null)\"");
	}
}

Test(debian, another_architecture)
{
	char *out;

	if (needs_root())
		return;
	if (access("/proc/sys/fs/binfmt_misc/qemu-riscv64", F_OK) == 0)
		cr_skip_test("this machine runs programs for riscv64");
	make_tools();
	CHECK_EQ(shell(&out, "$R -o out --from debian:sid --arch riscv64"), 1);
	CHECK_HAS(out, "install the packages qemu-user-static and binfmt-support");
}

/* The error names what an ordinary user lacks. */
Test(debian, user_without_subordinate_ids)
{
	char *out;

	if (needs_root())
		return;
	make_tools();
	REQUIRE_EQ(chmod(dir, 0777), 0);
	CHECK_EQ(shell(&out, "cp " TATAMI_ROOTFS " rootfs; cp /bin/true bin/newuidmap; "
			     "setpriv --reuid 1 --regid 1 --clear-groups ./rootfs "
			     "--rootfs-only -f dir -o out --from debian:bookworm"),
		 1);
	CHECK_HAS(out, "the user daemon has no 65536 subordinate ids in /etc/subuid");
	CHECK_HAS(out, "usermod --add-subuids 100000-165535 ");
}
