/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of an image and what they need. The programs are those of the build machine. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "lib/cleanup.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/guest/closure.h"
#include "rootfs-builder/guest/elffile.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

static const char *dir;
static struct image image;
static struct error err;
static uint16_t machine;

static void
init(void)
{
	dir = scratch_dir(NULL);
	machine = arch_require(NULL, &err)->machine;
	put_elf(path_in(dir, "static"), machine, NULL);
	REQUIRE_OK(image_add_file(&image, "/bin/agent", 0755, path_in(dir, "static"), &err), &err);
	REQUIRE_OK(image_add_symlink(&image, "/sbin/init", "/bin/agent", &err), &err);
	REQUIRE_OK(image_add_symlink(&image, "/init", "sbin/init", &err), &err);
	REQUIRE_OK(image_add_symlink(&image, "/usr/bin/kata-agent", "/bin/agent", &err), &err);
}

static void
fini(void)
{
	image_release(&image);
	scratch_fini();
}

TestSuite(closure, .init = init, .fini = fini);

static int
verify(void)
{
	return closure_verify(&image, machine, false, &err);
}

static void
add_program(const char *path, const char *source)
{
	REQUIRE_OK(image_add_file(&image, path, 0755, source, &err), &err);
}

Test(closure, static_programs)
{
	CHECK_OK(closure_verify(&image, machine, true, &err), &err);
	CHECK_FAILS(closure_verify(&image, EM_S390, true, &err), &err, ERROR_INVALID_ARGUMENT,
		    "would not boot: /init is for");
}

Test(closure, missing_programs)
{
	REQUIRE_OK(image_add_symlink(&image, "/init", "/nowhere", &err), &err);
	CHECK_FAILS(verify(), &err, ERROR_NOT_FOUND, "no /init in the image");
	REQUIRE_OK(image_add_data(&image, "/init", 0644, "x", 1, &err), &err);
	CHECK_FAILS(verify(), &err, ERROR_INVALID_ARGUMENT, "/init is not an executable file");
	REQUIRE_OK(image_add_data(&image, "/init", 0755, "text", 4, &err), &err);
	CHECK_FAILS(verify(), &err, ERROR_INVALID_ARGUMENT, "/init is not an ELF file");
	REQUIRE_OK(image_add_data(&image, "/init", 0755, NULL, 0, &err), &err);
	CHECK_FAILS(verify(), &err, ERROR_INVALID_ARGUMENT, "/init is not an ELF file");
}

Test(closure, interpreter)
{
	put_elf(path_in(dir, "dynamic"), machine, "/lib/ld.so");
	add_program("/usr/bin/kata-agent", path_in(dir, "dynamic"));
	CHECK_FAILS(verify(), &err, ERROR_NOT_FOUND,
		    "interpreter of /usr/bin/kata-agent: no /lib/ld.so in the image");
	add_program("/lib/ld.so", path_in(dir, "static"));
	CHECK_OK(verify(), &err);
	add_program("/sbin/init", path_in(dir, "dynamic"));
	CHECK_OK(verify(), &err);
	CHECK_FAILS(closure_verify(&image, machine, true, &err), &err, ERROR_INVALID_ARGUMENT,
		    "/init is not a static program");
}

Test(closure, scripts)
{
	static const char script[] = "#! /bin/sh -e\nexec /bin/agent\n";

	REQUIRE_OK(image_add_data(&image, "/init", 0755, script, strlen(script), &err), &err);
	CHECK_FAILS(verify(), &err, ERROR_NOT_FOUND, "interpreter of /init: no /bin/sh");
	add_program("/bin/sh", path_in(dir, "static"));
	CHECK_OK(verify(), &err);
	/* A script that is its own interpreter. */
	REQUIRE_OK(image_add_data(&image, "/bin/sh", 0755, "#!/bin/sh\n", 10, &err), &err);
	CHECK_OK(verify(), &err);
}

/* Every library of a program of this machine, as ldd(1) lists them, is needed. */
Test(closure, libraries)
{
	char *const list[] = { "sh", "-c",
			       "ldd /bin/ls | sed -n 's/.*[ \t]\\(\\/[^ ]*\\) (.*/\\1/p'", NULL };
	char *names, *name, *paths[20];
	size_t n = 0;

	REQUIRE_EQ(run_program(dir, NULL, list, &names), 0);
	while ((name = strsep(&names, "\n")) && *name) {
		REQUIRE_LT(n, ARRAY_LEN(paths));
		paths[n++] = name;
	}
	REQUIRE_GT(n, 1);
	add_program("/usr/bin/kata-agent", "/bin/ls");
	for (size_t missing = 0; missing < n; missing++) {
		struct image_entry *entry;

		for (size_t i = 0; i < n; i++)
			add_program(paths[i], paths[i]);
		CHECK_OK(verify(), &err);
		entry = image_resolve(&image, paths[missing], &err);
		REQUIRE(entry);
		/* Takes the file away. */
		image.layer++;
		REQUIRE_OK(image_remove(&image, entry->path, false, &err), &err);
		CHECK_FAILS(verify(), &err, ERROR_NOT_FOUND, "");
		CHECK_HAS(err.msg, strrchr(paths[missing], '/') + 1);
	}
}

/* Damaged headers are an error, not a crash. */
Test(closure, damaged)
{
	auto_free uint8_t *copy = NULL;
	uint8_t *bytes;
	size_t n;

	bytes = get_file("/bin/ls", &n);
	copy = malloc(n);
	for (size_t i = 0; i < 2000; i++) {
		memcpy(copy, bytes, n);
		copy[i] ^= (uint8_t)(1 + i % 255);
		REQUIRE_OK(image_add_data(&image, "/usr/bin/kata-agent", 0755, copy,
					  i % 2 ? n : 64 + i, &err),
			   &err);
		(void)verify();
	}
}
