/* SPDX-License-Identifier: Apache-2.0 */
/* Complete builds: reproducible output, the layout, and the causes of failure. */
#include <dirent.h>
#include <elf.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"
#include "lib/cleanup.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/guest/elffile.h"
#include "rootfs-builder/initrd.h"
#include "tests/support/check.h"

static const char *dir;
static struct error err;
static struct initrd_spec spec;
static char notes[1000];

static void
take_note(const char *text, void *data)
{
	(void)data;
	strncat(notes, text, sizeof(notes) - strlen(notes) - 1);
}

static void
init(void)
{
	dir = scratch_dir(NULL);
	put_elf(path_in(dir, "tatami"), EM_X86_64, NULL);
	spec = (struct initrd_spec){
		.init = path_in(dir, "tatami"),
		.output = path_in(dir, "initrd.img"),
		.format = PACK_NONE,
		.arch = "x86_64",
		.epoch = INITRD_EPOCH,
		.note = take_note,
	};
}

TestSuite(initrd, .init = init, .fini = scratch_fini);

static char *
list(void)
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");

	REQUIRE_OK(initrd_list(spec.output, out, &err), &err);
	(void)fclose(out);
	return text;
}

/* Counts temporary files next to the output: a build leaves none. */
static unsigned
leftovers(void)
{
	DIR *d = opendir(dir);
	unsigned n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += strstr(e->d_name, "initrd.img.") != NULL;
	(void)closedir(d);
	return n;
}

Test(initrd, layout)
{
	const char *want = "d0755 0:0          0 dev\n"
			   "c0600 0:0        5,1 dev/console\n"
			   "c0666 0:0        1,3 dev/null\n"
			   "d0755 0:0          0 etc\n"
			   "-0644 0:0         10 etc/hostname\n"
			   "-0644 0:0         61 etc/hosts\n"
			   "-0444 0:0          0 etc/machine-id\n"
			   "-0644 0:0          0 etc/resolv.conf\n"
			   "l0777 0:0         19 init -> /usr/bin/kata-agent\n"
			   "d0755 0:0          0 mnt\n"
			   "d0555 0:0          0 proc\n"
			   "d0700 0:0          0 root\n"
			   "d0755 0:0          0 run\n"
			   "d0755 0:0          0 sbin\n"
			   "l0777 0:0         19 sbin/init -> /usr/bin/kata-agent\n"
			   "d0555 0:0          0 sys\n"
			   "d1777 0:0          0 tmp\n"
			   "d0755 0:0          0 usr\n"
			   "d0755 0:0          0 usr/bin\n"
			   "-0755 0:0        240 usr/bin/kata-agent\n"
			   "l0777 0:0         10 usr/bin/tatami -> kata-agent\n"
			   "d0755 0:0          0 var\n";
	struct initrd_result result;

	REQUIRE_OK(initrd_build(&spec, &result, &err), &err);
	CHECK_STR(list(), want);
	CHECK(result.entries == 22 && result.modules == 0);
	CHECK(result.size == result.raw_size && leftovers() == 0);
}

Test(initrd, other_agent)
{
	const char *const trees[] = { path_in(dir, "tree"), NULL };

	put_elf(path_in(dir, "agent"), EM_X86_64, "/lib64/ld.so.2");
	spec.agent = path_in(dir, "agent");
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "interpreter of /usr/bin/kata-agent is missing");
	put_elf(path_in(dir, "tree/usr/lib/ld.so"), EM_X86_64, NULL);
	REQUIRE_EQ(symlink("usr/lib", path_in(dir, "tree/lib64")), 0);
	REQUIRE_EQ(symlink("ld.so", path_in(dir, "tree/usr/lib/ld.so.2")), 0);
	spec.trees = trees;
	REQUIRE_OK(initrd_build(&spec, NULL, &err), &err);
	CHECK_HAS(list(), " init -> /usr/bin/tatami\n");
	CHECK_HAS(list(), " sbin/init -> /usr/bin/tatami\n");
	CHECK_HAS(list(), "-0755 0:0        240 usr/bin/kata-agent\n");
	CHECK_HAS(list(), "-0755 0:0        240 usr/bin/tatami\n");
	CHECK_HAS(list(), " var/run -> /run\n");
}

/* A userland with a merged /usr, an init and settings of its own. */
/* Programs of each architecture are read in its byte order, and no other program is accepted. */
Test(initrd, architectures)
{
	static const char *const names[] = { "x86_64", "aarch64", "riscv64", "s390x" };
	auto_free char *text = NULL;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct arch *arch = arch_find(names[i]);

		REQUIRE(arch, "%s", names[i]);
		CHECK_STR(arch->name, names[i]);
		CHECK_EQ(arch_of_machine(arch->machine), arch);
		spec.arch = names[i];
		put_elf(spec.init, arch->machine, NULL);
		REQUIRE_OK(initrd_build(&spec, NULL, &err), &err);
		put_elf(spec.init, arch->machine, "/lib/ld.so");
		CHECK_FAILS(initrd_build(&spec, NULL, &err), &err, ERROR_INVALID_ARGUMENT,
			    "/init is not a static program: it needs the interpreter /lib/ld.so");
		put_elf(spec.init, arch->machine == EM_S390 ? EM_RISCV : EM_S390, NULL);
		free(text);
		REQUIRE_GT(asprintf(&text, "/init is for %s (machine %u), the image is for %s",
				    arch->machine == EM_S390 ? "riscv64" : "s390x",
				    arch->machine == EM_S390 ? EM_RISCV : EM_S390, names[i]),
			   0);
		CHECK_FAILS(initrd_build(&spec, NULL, &err), &err, ERROR_INVALID_ARGUMENT, text);
	}
}

/* The other byte order is that of another machine, also where the number of the machine fits. */
Test(initrd, byte_order)
{
	Elf64_Ehdr head = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB },
		.e_machine = htole16(EM_S390),
	};

	CHECK_FAILS(elf_check("x", (const uint8_t *)&head, sizeof(head), EM_S390, &err), &err,
		    ERROR_INVALID_ARGUMENT, "x: byte order is not that of s390x");
	head.e_ident[EI_DATA] = ELFDATANONE;
	CHECK_FAILS(elf_check("x", (const uint8_t *)&head, sizeof(head), EM_S390, &err), &err,
		    ERROR_INVALID_ARGUMENT, "x is not a 64-bit ELF file");
}

Test(initrd, userland)
{
	const char *const trees[] = { path_in(dir, "tree"), NULL };
	const char *const owners[] = { "33:4:/srv/www", NULL };

	put_text(path_in(dir, "tree/usr/sbin/nginx"), "x");
	put_text(path_in(dir, "tree/usr/lib/systemd/systemd"), "x");
	put_text(path_in(dir, "tree/etc/hostname"), "mine\n");
	put_text(path_in(dir, "tree/srv/www/index.html"), "x");
	REQUIRE_EQ(symlink("usr/sbin", path_in(dir, "tree/sbin")), 0);
	REQUIRE_EQ(symlink("../run/resolv.conf", path_in(dir, "tree/etc/resolv.conf")), 0);
	REQUIRE_EQ(symlink("/usr/lib/systemd/systemd", path_in(dir, "tree/usr/sbin/init")), 0);
	spec.trees = trees;
	spec.owners = owners;
	REQUIRE_OK(initrd_build(&spec, NULL, &err), &err);
	CHECK_HAS(list(), " sbin -> usr/sbin\n");
	CHECK_HAS(list(), " usr/sbin/init -> /usr/bin/kata-agent\n");
	CHECK_HAS(list(), " 5 etc/hostname\n");
	CHECK_HAS(list(), " etc/resolv.conf -> ../run/resolv.conf\n");
	CHECK_HAS(list(), "d0755 33:4          0 srv/www\n");
}

/* systemd stays PID 1, and starts our program as a service. */
Test(initrd, keep_init)
{
	const char *const trees[] = { path_in(dir, "tree"), NULL };

	spec.keep_init = true;
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "resolved to /sbin/init");
	put_elf(path_in(dir, "tree/usr/lib/systemd/systemd"), EM_X86_64, "/lib64/ld.so");
	put_text(path_in(dir, "tree/usr/sbin/x"), "");
	REQUIRE_EQ(symlink("usr/sbin", path_in(dir, "tree/sbin")), 0);
	REQUIRE_EQ(symlink("/usr/lib/systemd/systemd", path_in(dir, "tree/usr/sbin/init")), 0);
	spec.trees = trees;
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "interpreter of /init is missing");
	put_elf(path_in(dir, "tree/lib64/ld.so"), EM_X86_64, NULL);
	REQUIRE_OK(initrd_build(&spec, NULL, &err), &err);
	CHECK_HAS(list(), " usr/sbin/init -> /usr/lib/systemd/systemd\n");
	CHECK_HAS(list(), " init -> sbin/init\n");
	CHECK_HAS(list(), " 240 usr/bin/kata-agent\n");
	CHECK_HAS(list(), " usr/bin/tatami -> kata-agent\n");
}

/* The output is the same for two copies of a tree that were made in opposite order, on different
 * file systems, at different times and under another umask and time zone. */
static const char *const names[] = { "b/two", "a/one", "b/three", "z", "b/a/deep", "m", "a/0" };

static void
make_copy(const char *top, bool backwards, long when)
{
	const struct timeval times[2] = { { .tv_sec = when }, { .tv_sec = when } };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = path_in(top, names[backwards ? ARRAY_LEN(names) - 1 - i : i]);

		put_text(path, strrchr(path, '/'));
		REQUIRE_EQ(utimes(path, times), 0);
	}
	REQUIRE_EQ(symlink("b", path_in(top, "link")), 0);
	REQUIRE_EQ(utimes(top, times), 0);
}

Test(initrd, reproducible)
{
	const char *other = scratch_dir(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
	const char *const trees1[] = { path_in(dir, "x"), NULL };
	const char *const trees2[] = { path_in(other, "a/longer/name/for/it"), NULL };
	const char *const trees3[] = { path_in(dir, "different"), NULL };
	static const enum pack_format formats[] = { PACK_NONE, PACK_GZIP, PACK_ZSTD };

	make_copy(trees1[0], false, 1000000000);
	make_copy(trees2[0], true, 1900000000);
	make_copy(trees3[0], false, 1000000000);
	REQUIRE_EQ(chmod(path_in(trees3[0], "z"), 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		size_t n1, n2, n3;
		uint8_t *one, *two, *three;

		spec.format = formats[i];
		(void)setenv("TZ", "Asia/Tokyo", 1);
		tzset();
		(void)umask(0022);
		spec.trees = trees1;
		spec.output = path_in(dir, "one.img");
		REQUIRE_OK(initrd_build(&spec, NULL, &err), &err);
		(void)setenv("TZ", "America/New_York", 1);
		tzset();
		(void)umask(0077);
		spec.trees = trees2;
		spec.output = path_in(other, "two.img");
		REQUIRE_OK(initrd_build(&spec, NULL, &err), &err);
		spec.trees = trees3;
		spec.output = path_in(other, "three.img");
		REQUIRE_OK(initrd_build(&spec, NULL, &err), &err);
		one = get_file(path_in(dir, "one.img"), &n1);
		two = get_file(path_in(other, "two.img"), &n2);
		three = get_file(path_in(other, "three.img"), &n3);
		CHECK(n1 == n2 && !memcmp(one, two, n1), "format %zu: bytes differ", i);
		CHECK(n1 != n3 || memcmp(one, three, n1) != 0, "the mode left no trace");
	}
}

Test(initrd, modules)
{
	const char *tree = path_in(dir, "lib/modules/6.1.0-test");
	const char *const wanted[] = { "extra", NULL };
	struct initrd_result result;

	put_text(path_in(tree, "modules.dep"), "kernel/extra.ko: kernel/base.ko\n"
					       "kernel/base.ko:\n");
	put_text(
		path_in(tree, "modules.builtin"),
		"kernel/virtio_pci.ko\nkernel/virtio_blk.ko\nkernel/vmw_vsock_virtio_transport.ko\n"
		"kernel/overlay.ko\n");
	put_elf(path_in(tree, "kernel/extra.ko"), EM_X86_64, NULL);
	put_elf(path_in(tree, "kernel/base.ko"), EM_X86_64, NULL);
	spec.modules_dir = tree;
	spec.modules = wanted;
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "has no module ext4");
	spec.no_default_modules = true;
	REQUIRE_OK(initrd_build(&spec, &result, &err), &err);
	CHECK_EQ(result.modules, 2);
	CHECK_HAS(list(), " lib/modules/6.1.0-test/kernel/base.ko\n");
	spec.no_default_modules = false;
	put_text(
		path_in(tree, "modules.builtin"),
		"kernel/virtio_pci.ko\nkernel/virtio_blk.ko\nkernel/vmw_vsock_virtio_transport.ko\n"
		"kernel/overlay.ko\nkernel/ext4.ko\n");
	notes[0] = '\0';
	REQUIRE_OK(initrd_build(&spec, &result, &err), &err);
	CHECK_EQ(result.modules, 2);
	CHECK_HAS(notes, "kernel module virtiofs (virtio-fs shares) not found: skipped");
}

/* A failed build leaves the previous file, and nothing else. */
Test(initrd, failures)
{
	static const char *const bad_owner[] = { "1:x:/etc", NULL };
	static const char *const no_owner[] = { "1:1:/nothing", NULL };
	size_t n;

	put_text(spec.output, "the old one");
	spec.max_size = 100;
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_RESOURCE_EXHAUSTED, "the limit of 100");
	spec.max_size = 0;

	put_elf(spec.init, EM_X86_64, "/lib64/ld.so");
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT,
		     "/init is not a static program: it needs the interpreter /lib64");
	put_elf(spec.init, EM_AARCH64, NULL);
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "/init is for aarch64");
	put_text(spec.init, "#!/bin/sh\n");
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "/init is not an ELF file");
	REQUIRE_EQ(unlink(spec.init), 0);
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "add the init program");
	put_elf(spec.init, EM_X86_64, NULL);

	spec.owners = bad_owner;
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "1:x:/etc");
	spec.owners = no_owner;
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "/nothing");
	spec.owners = NULL;
	spec.arch = "vax";
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "vax");
	spec.arch = "x86_64";
	CHECK_STR((char *)get_file(spec.output, &n), "the old one");
	CHECK_EQ(leftovers(), 0);

	spec.output = path_in(dir, "no/such/directory/x");
	CHECK_EQ(initrd_build(&spec, NULL, &err), -1);
	expect_error(&err, ERROR_INTERNAL, "no/such/directory");
}

/* Control characters in names are escaped; a file that is not an archive is rejected. */
Test(initrd, names_from_foreign_archives)
{
	char *make[] = { "sh", "-c",
			 "mkdir t && : >\"t/$(printf 'a\\033[31mb')\" && find t | sort |"
			 "cpio --quiet -o -H newc >initrd.img",
			 NULL };
	char *out;

	REQUIRE_EQ(run_program(dir, NULL, make, &out), 0, "%s", out);
	CHECK_HAS(list(), " t/a\\x1b[31mb\n");
	CHECK_EQ(initrd_list(path_in(dir, "none"), stdout, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "none");
	put_text(spec.output, "nothing of the kind");
	CHECK_EQ(initrd_list(spec.output, stdout, &err), -1);
	expect_error(&err, ERROR_DATA_LOSS, "initrd.img");
}
