/* SPDX-License-Identifier: Apache-2.0 */
/* Loading modules: files, order and parameters; modules that are loaded or built in. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/guest/kmod.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/guest/tree.h"

#define TREE "lib/modules/6.1.0-test/"

static struct tree t;
static struct kmod_env env;
/* "content(parameters)flags " of each loaded file */
static char loaded[512];
/* the last warning */
static char warned[512];
/* content of the file of a module that is loaded already */
static const char *there;

static int
fake_load(int fd, const char *parameters, int flags)
{
	char content[64] = "";
	size_t used = strlen(loaded);

	REQUIRE_GT(read(fd, content, sizeof(content) - 1), 0);
	if (there && strcmp(content, there) == 0) {
		errno = EEXIST;
		return -1;
	}
	if (strcmp(content, "broken") == 0) {
		errno = ENOEXEC;
		return -1;
	}
	(void)snprintf(loaded + used, sizeof(loaded) - used, "%s(%s)%d ", content, parameters,
		       flags);
	return 0;
}

static void
take_warning(void *data, const char *module, const char *parameter, const char *text)
{
	(void)data;
	CHECK(strstr(text, module) && strstr(text, parameter), "%s", text);
	(void)snprintf(warned, sizeof(warned), "%s", text);
}

static void
init(void)
{
	tree_make(&t);
	warned[0] = '\0';
	env = (struct kmod_env){
		.root = t.roots.root,
		.sys = t.roots.sys,
		.release = "6.1.0-test",
		.load = fake_load,
		.warn = take_warning,
	};
	loaded[0] = '\0';
	there = NULL;
	tree_put(t.roots.root, TREE "modules.dep",
		 "kernel/a.ko:\nkernel/b-one.ko.xz: kernel/a.ko\n"
		 "kernel/c.ko: kernel/b-one.ko.xz kernel/a.ko\nkernel/bad.ko:\nkernel/gone.ko:\n");
	tree_put(t.roots.root, TREE "modules.alias",
		 "alias fs-cfs c\nalias fs-inside inside\nalias net-pf-9 b_one\n");
	tree_put(t.roots.root, TREE "modules.softdep", "softdep c post: late\n");
	tree_put(t.roots.root, TREE "modules.builtin", "kernel/inside.ko\n");
	tree_put(t.roots.root, TREE "kernel/a.ko", "A");
	tree_put(t.roots.root, TREE "kernel/b-one.ko.xz", "B");
	tree_put(t.roots.root, TREE "kernel/c.ko", "C");
	tree_put(t.roots.root, TREE "kernel/bad.ko", "broken");
	tree_put(t.roots.sys, "module/inside/parameters/level", "1\n");
	tree_put(t.roots.sys, "module/b_one/parameters/speed", "1\n");
}

static void
fini(void)
{
	tree_remove(&t);
}

TestSuite(kmod, .init = init, .fini = fini);

static int
load(const char *name, const char *one, const char *two, struct error *err)
{
	char *parameters[] = { (char *)(uintptr_t)one, (char *)(uintptr_t)two };

	*err = ERROR_INIT;
	return kmod_load(&env, name, parameters, one ? two ? 2 : 1 : 0, err);
}

Test(kmod, dependencies_come_first)
{
	struct error err;

	CHECK_OK(load("c", "x=1", "name=two words", &err), &err);
	CHECK_STR(loaded, "A()0 B()4 C(x=1 name=\"two words\")0 ");
}

Test(kmod, dash_and_underscore_are_equal)
{
	struct error err;

	CHECK_OK(load("b_one", "flag", NULL, &err), &err);
	CHECK_STR(loaded, "A()0 B(flag)4 ");
}

Test(kmod, parameters_of_a_loaded_module_are_set)
{
	struct error err;
	char text[32];

	there = "B";
	CHECK_OK(load("b-one", "speed=9", NULL, &err), &err);
	CHECK_STR(loaded, "A()0 ");
	tree_get(t.roots.sys, "module/b_one/parameters/speed", text, sizeof(text));
	CHECK_STR(text, "9");
	CHECK_STR(warned, "");
	CHECK_OK(load("b-one", "fixed=9", "speed=8", &err), &err);
	CHECK(strstr(warned, "b-one") && strstr(warned, "fixed"), "%s", warned);
	tree_get(t.roots.sys, "module/b_one/parameters/speed", text, sizeof(text));
	CHECK_STR(text, "8");
	/* built in */
	CHECK_OK(load("inside", "numdummies=3", NULL, &err), &err);
	CHECK(strstr(warned, "inside") && strstr(warned, "numdummies"), "%s", warned);
	loaded[0] = '\0';
	there = NULL;
	/* a dependency that is loaded already is skipped, without parameters */
	there = "A";
	loaded[0] = '\0';
	CHECK_OK(load("c", "y=2", NULL, &err), &err);
	CHECK_STR(loaded, "B()4 C(y=2)0 ");
}

Test(kmod, aliases)
{
	struct error err;
	char text[32];

	CHECK_OK(load("net-pf-9", "speed=4", NULL, &err), &err);
	CHECK_STR(loaded, "A()0 B(speed=4)4 ");
	CHECK_STR(warned, "");
	there = "B";
	CHECK_OK(load("net-pf-9", "speed=5", NULL, &err), &err);
	tree_get(t.roots.sys, "module/b_one/parameters/speed", text, sizeof(text));
	CHECK_STR(text, "5");
	CHECK_STR(warned, "");
}

Test(kmod, module_of_a_file_system)
{
	static const char *const missing[] = {
		"",     "none", "inside",
		"../c", "c",    "a-name-that-is-longer-than-any-file-system-has-in-any-kernel"
	};
	struct error err = ERROR_INIT;

	CHECK_OK(kmod_load_for_fs(&env, "cfs", &err), &err);
	CHECK_STR(loaded, "A()0 B()4 C()0 ");
	loaded[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(missing); i++) {
		err = ERROR_INIT;
		CHECK_EQ(kmod_load_for_fs(&env, missing[i], &err), -1, "%s", missing[i]);
		CHECK_EQ(err.code, ERROR_NOT_FOUND, "%s: %s", missing[i], err.msg);
	}
	CHECK_STR(loaded, "");
}

Test(kmod, built_in)
{
	struct error err;
	char text[32];

	CHECK_OK(load("inside", NULL, NULL, &err), &err);
	CHECK_OK(load("inside", "level=7", NULL, &err), &err);
	tree_get(t.roots.sys, "module/inside/parameters/level", text, sizeof(text));
	CHECK_STR(text, "7");
	CHECK_STR(loaded, "");
}

Test(kmod, kernel_without_modules)
{
	struct error err;

	env.release = "5.0";
	CHECK_OK(load("inside", NULL, NULL, &err), &err);
	CHECK_EQ(load("c", NULL, NULL, &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND, "%s", err.msg);
	CHECK_HAS(err.msg, "failed to load kernel module c");
}

Test(kmod, failures)
{
	static const struct {
		const char *name, *parameter;
		enum error_code code;
	} rows[] = {
		{ "", NULL, ERROR_INVALID_ARGUMENT },
		{ "-r", NULL, ERROR_INVALID_ARGUMENT },
		{ "../../etc/passwd", NULL, ERROR_INVALID_ARGUMENT },
		{ "a b", NULL, ERROR_INVALID_ARGUMENT },
		{ "a", "x=1\ny", ERROR_INVALID_ARGUMENT },
		{ "inside", "../../x=1", ERROR_INVALID_ARGUMENT },
		{ "inside", "=1", ERROR_INVALID_ARGUMENT },
		{ "unknown", NULL, ERROR_NOT_FOUND },
		{ "bad", NULL, ERROR_INTERNAL },
		{ "gone", NULL, ERROR_INTERNAL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err;

		CHECK_EQ(load(rows[i].name, rows[i].parameter, NULL, &err), -1, "row %zu", i);
		CHECK_EQ(err.code, rows[i].code, "row %zu: %d %s", i, err.code, err.msg);
	}
}
