/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of kernel modules for a fake tree. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "rootfs-builder/guest/modules.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

static const char dep[] = "kernel/a.ko:\n"
			  "kernel/b.ko: kernel/a.ko\n"
			  "kernel/net/c-one.ko.xz: kernel/b.ko kernel/a.ko\n"
			  "kernel/d.ko.zst: kernel/net/c-one.ko.xz kernel/b.ko kernel/a.ko\n"
			  "kernel/soft.ko: kernel/a.ko\n"
			  "kernel/aliased.ko:\n"
			  "kernel/hash_intel.ko:\n"
			  "kernel/hash_generic.ko:\n"
			  "kernel/back.ko: kernel/front.ko\n"
			  "kernel/front.ko:\n"
			  "kernel/loop1.ko: kernel/loop2.ko\n"
			  "kernel/loop2.ko: kernel/loop1.ko\n"
			  "kernel/self.ko: kernel/self.ko\n"
			  "kernel/orphan.ko: kernel/lost.ko\n";
static const char softdep[] = "# Soft dependencies extracted from modules themselves.\n"
			      "softdep soft pre: b gone post: d\n"
			      "softdep aliased pre: crypto-hash built-in\n"
			      "softdep front pre: back\n";
static const char alias[] = "alias pci:v00001AF4d* virtio_pci\n"
			    "alias crypto-hash hash_intel\n"
			    "alias crypto-hash hash_generic\n"
			    "alias built-in hash_intel\n";
static const char builtin[] = "kernel/fs/ext4/ext4.ko\nkernel/built-in.ko\n";

static const char *tree;
static struct error err;

static void
init(void)
{
	tree = path_in(scratch_dir(NULL), "lib/modules/6.1.0-test");
	put_text(path_in(tree, "modules.dep"), dep);
	put_text(path_in(tree, "modules.softdep"), softdep);
	put_text(path_in(tree, "modules.alias"), alias);
	put_text(path_in(tree, "modules.builtin"), builtin);
}

TestSuite(modules, .init = init, .fini = scratch_fini);

/* Returns the planned names, separated by spaces. */
static void
join_plan(const struct modtree *modules, char out[512])
{
	const char *path;
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; (path = modtree_planned(modules, i)); i++)
		used += (size_t)snprintf(out + used, 512 - used, "%s%s", i ? " " : "",
					 strrchr(path, '/') + 1);
}

Test(modules, order)
{
	static const struct {
		const char *want[3];
		const char *plan;
	} rows[] = {
		{ { "a" }, "a.ko" },
		{ { "d" }, "a.ko b.ko c-one.ko.xz d.ko.zst" },
		{ { "c_one" }, "a.ko b.ko c-one.ko.xz" },
		{ { "c-one" }, "a.ko b.ko c-one.ko.xz" },
		{ { "d", "a", "b" }, "a.ko b.ko c-one.ko.xz d.ko.zst" },
		{ { "b", "d" }, "a.ko b.ko c-one.ko.xz d.ko.zst" },
		{ { "ext4" }, "" },
		{ { "ext4", "built_in", "a" }, "a.ko" },
		/* Pre-dependencies before it, missing ones skipped, post-dependencies after it. */
		{ { "soft" }, "a.ko b.ko soft.ko c-one.ko.xz d.ko.zst" },
		/* An alias with two modules: the generic one works on every processor. */
		{ { "aliased" }, "hash_generic.ko aliased.ko" },
		{ { "crypto-hash" }, "hash_generic.ko" },
		/* A name goes before an alias. */
		{ { "built-in" }, "" },
		/* A soft dependency that contradicts a hard one. */
		{ { "front" }, "front.ko" },
		{ { "back" }, "front.ko back.ko" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct modtree *modules = modules_open(tree, &err);
		char plan[512];

		REQUIRE(modules, "%s", err.msg);
		for (size_t w = 0; w < 3 && rows[i].want[w]; w++)
			CHECK_OK(modtree_want(modules, rows[i].want[w], &err), &err);
		join_plan(modules, plan);
		CHECK_STR(plan, rows[i].plan, "%s: \"%s\", not \"%s\"", rows[i].want[0], plan,
			  rows[i].plan);
		modtree_free(modules);
	}
}

Test(modules, refused)
{
	static const struct {
		const char *want;
		enum error_code code;
		const char *why;
	} rows[] = {
		{ "nothing", ERROR_NOT_FOUND, "6.1.0-test has no module nothing" },
		{ "loop1", ERROR_FAILED_PRECONDITION, "loop1 depends on itself, through loop2" },
		{ "self", ERROR_FAILED_PRECONDITION, "self depends on itself" },
		{ "orphan", ERROR_FAILED_PRECONDITION, "kernel/orphan.ko needs kernel/lost.ko" },
		{ "a\nb", ERROR_INVALID_ARGUMENT, "newline" },
		{ "", ERROR_INVALID_ARGUMENT, "invalid module name" },
		{ " ", ERROR_INVALID_ARGUMENT, "invalid module name" },
		{ "/", ERROR_INVALID_ARGUMENT, "invalid module name" },
		{ "a-name-that-is-longer-than-any-module-name-could-ever-be-in-any-kernel-tree",
		  ERROR_INVALID_ARGUMENT, "invalid module name" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct modtree *modules = modules_open(tree, &err);

		REQUIRE(modules, "%s", err.msg);
		CHECK_EQ(modtree_want(modules, rows[i].want, &err), -1, "%s", rows[i].why);
		expect_error(&err, rows[i].code, rows[i].why);
		modtree_free(modules);
	}
}

Test(modules, damaged_trees)
{
	static const struct {
		const char *dep, *why;
	} rows[] = {
		{ "kernel/a.ko\n", "line 1: no colon" },
		{ "kernel/a.ko:\nkernel/b:\n", "line 2: \"kernel/b\" is not a path" },
		{ "/kernel/a.ko:\n", "is not a path" },
		{ "../../a.ko:\n", "is not a path" },
		{ "kernel/a b.ko:\n", "is not a path" },
		{ "kernel/a-b.ko:\nkernel/x/a_b.ko:\n", "lists module a_b twice" },
	};
	struct modtree *modules;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put_text(path_in(tree, "modules.dep"), rows[i].dep);
		CHECK(!modules_open(tree, &err), "%s", rows[i].why);
		expect_error(&err, ERROR_INVALID_ARGUMENT, rows[i].why);
	}
	put_file(path_in(tree, "modules.dep"), "kernel/a.ko:\0\n", 14, 0644);
	CHECK(!modules_open(tree, &err));
	expect_error(&err, ERROR_INVALID_ARGUMENT, "NUL");
	put_text(path_in(tree, "modules.dep"), "");
	modules = modules_open(tree, &err);
	REQUIRE(modules, "%s", err.msg);
	CHECK_EQ(modtree_want(modules, "a", &err), -1);
	modtree_free(modules);
	REQUIRE_EQ(remove(path_in(tree, "modules.dep")), 0);
	CHECK(!modules_open(tree, &err));
	expect_error(&err, ERROR_NOT_FOUND, "depmod -b");
}

static void
put_module(const char *name, const char *command, uint16_t machine)
{
	char *path = path_in(tree, name), *packer[] = { "sh", "-c", (char *)command, NULL }, *out;

	if (!command) {
		put_elf(path, machine, NULL);
		return;
	}
	put_elf(path_in(tree, "plain"), machine, NULL);
	REQUIRE_EQ(run_program(tree, NULL, packer, &out), 0, "%s", out);
}

/* The files in the image, decompressed or as they are, and the list that init reads. */
Test(modules, in_the_image)
{
	static const char *const lists[] = {
		"/lib/modules/6.1.0-test/kernel/a.ko\n"
		"/lib/modules/6.1.0-test/kernel/b.ko\n"
		"/lib/modules/6.1.0-test/kernel/net/c-one.ko\n"
		"/lib/modules/6.1.0-test/kernel/d.ko x=1 y=\"2 3\"\n",
		"/lib/modules/6.1.0-test/kernel/a.ko\n"
		"/lib/modules/6.1.0-test/kernel/b.ko\n"
		"/lib/modules/6.1.0-test/kernel/net/c-one.ko.xz\n"
		"/lib/modules/6.1.0-test/kernel/d.ko.zst x=1 y=\"2 3\"\n",
	};

	put_module("kernel/a.ko", NULL, EM_X86_64);
	put_module("kernel/b.ko", NULL, EM_X86_64);
	put_module("plain", "mkdir kernel/net && xz -c plain >kernel/net/c-one.ko.xz", EM_X86_64);
	put_module("plain", "zstd -q -c plain >kernel/d.ko.zst", EM_X86_64);
	for (int as_is = 0; as_is < 2; as_is++) {
		struct modtree *modules = modules_open(tree, &err);
		struct image image = IMAGE_INIT;
		const struct image_entry *list, *c_one;

		REQUIRE(modules, "%s", err.msg);
		REQUIRE_OK(modtree_want(modules, "a", &err), &err);
		REQUIRE_OK(modtree_want(modules, "d x=1 y=\"2 3\"", &err), &err);
		REQUIRE_OK(modtree_want(modules, "d", &err), &err);
		REQUIRE_OK(modules_add(modules, &image, as_is, EM_X86_64, &err), &err);
		list = image_find(&image, "/etc/tatami/modules");
		REQUIRE(list);
		CHECK(list->size == strlen(lists[as_is]) &&
			      !memcmp(list->data, lists[as_is], list->size),
		      "%.*s", (int)list->size, (const char *)list->data);
		c_one = image_find(&image, as_is ? "lib/modules/6.1.0-test/kernel/net/c-one.ko.xz"
						 : "lib/modules/6.1.0-test/kernel/net/c-one.ko");
		REQUIRE(c_one);
		CHECK(as_is ? c_one->source != NULL : !memcmp(c_one->data, "\177ELF", 4));
		CHECK_EQ(modtree_want(modules, "d x=2", &err), -1);
		expect_error(&err, ERROR_INVALID_ARGUMENT, "conflicting parameters of module d");
		modtree_free(modules);
		image_release(&image);
	}
}

Test(modules, bad_files)
{
	struct modtree *modules = modules_open(tree, &err);
	struct image image = IMAGE_INIT;
	char spec[1200] = "a ";

	REQUIRE(modules && modtree_want(modules, "a", &err) == 0);
	CHECK_EQ(modules_add(modules, &image, false, EM_X86_64, &err), -1);
	expect_error(&err, ERROR_NOT_FOUND, "failed to add module a: ");
	put_text(path_in(tree, "kernel/a.ko"), "no ELF");
	CHECK_EQ(modules_add(modules, &image, false, EM_X86_64, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "kernel/a.ko is not an ELF file");
	put_module("kernel/a.ko", NULL, EM_AARCH64);
	CHECK_EQ(modules_add(modules, &image, false, EM_X86_64, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "is for aarch64");
	put_module("kernel/a.ko", NULL, EM_X86_64);
	memset(spec + 2, 'p', sizeof(spec) - 3);
	REQUIRE_OK(modtree_want(modules, spec, &err), &err);
	CHECK_EQ(modules_add(modules, &image, false, EM_X86_64, &err), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT, "exceed the 1023 bytes that init accepts");
	modtree_free(modules);
	image_release(&image);
}
