/* SPDX-License-Identifier: Apache-2.0 */
/* CDI devices in the spec files of a fake guest. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/cdi/load.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/cdi/tree.h"

#define SPEC(kind, name, edits)                                                                  \
	"{cdiVersion: 0.7.0, kind: " kind ", devices: [{name: " name ", containerEdits: {" edits \
	"}}], containerEdits: {env: [ALL=" name "]}}"

struct bench {
	struct tree tree;
	struct arena arena;
	struct cdi_name list[4];
	struct cdi_names names;
	struct cdi_request request;
	struct cdi_loaded loaded;
	struct error err;
};

static void
bench_make(struct bench *b)
{
	*b = (struct bench){ .names = { .list = b->list }, .err = ERROR_INIT };
	tree_make(&b->tree);
	arena_init(&b->arena, CDI_ARENA_MAX);
	b->request = (struct cdi_request){ .roots = &b->tree.roots,
					   .names = &b->names,
					   .uid = 1000,
					   .gid = 1001,
					   .inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC) };
	REQUIRE_GE(b->request.inotify, 0);
}

static void
bench_remove(struct bench *b)
{
	close_fd(&b->request.inotify);
	arena_release(&b->arena);
	tree_remove(&b->tree);
}

static void
want(struct bench *b, const char *kind, const char *device)
{
	b->list[b->names.n++] = (struct cdi_name){ kind, device };
}

static int
load(struct bench *b)
{
	arena_release(&b->arena);
	b->err = ERROR_INIT;
	return cdi_load(&b->arena, &b->request, &b->loaded, &b->err);
}

/* Returns whether something that was watched has changed. */
static bool
has_changed(const struct bench *b)
{
	char events[4096];

	return read(b->request.inotify, events, sizeof(events)) > 0;
}

static void
make_node(const struct bench *b, const char *path, mode_t mode, unsigned int minor)
{
	if (mknodat(b->tree.roots.root, path, mode, makedev(1, minor)) < 0)
		cr_skip_test("mknod is not allowed here");
}

Test(load, devices_of_several_files)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "etc/cdi/a.json",
		  "{\"cdiVersion\": \"0.3.0\", \"kind\": \"v/c\", "
		  "\"devices\": [{\"name\": \"x\", \"containerEdits\": "
		  "{\"env\": [\"X=etc\"]}}]}");
	tree_file(&b.tree, "run/cdi/b.yaml", SPEC("v/c", "y", "env: [Y=run]"));
	tree_file(&b.tree, "run/cdi/c.yaml", SPEC("w/c", "x", "env: [X=other]"));
	tree_file(&b.tree, "run/cdi/d.yml", SPEC("v/c", "y", "env: [Y=not read]"));
	tree_file(&b.tree, "run/cdi/e.yaml.tmp", SPEC("v/c", "y", "env: [Y=not read]"));
	want(&b, "v/c", "x");
	want(&b, "v/c", "y");
	REQUIRE_OK(load(&b), &b.err);
	REQUIRE_EQ(b.loaded.state, CDI_FOUND, "%s", b.loaded.why);
	CHECK_STR(b.loaded.why, "");
	REQUIRE_EQ(b.loaded.edits->process->n_env, 3u);
	CHECK_STR(b.loaded.edits->process->env[0], "X=etc");
	CHECK_STR(b.loaded.edits->process->env[1], "ALL=y", "the spec's before the device's");
	CHECK_STR(b.loaded.edits->process->env[2], "Y=run");
	bench_remove(&b);
}

/* The changes for all devices of a spec are made once. */
Test(load, two_devices_of_one_spec)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "run/cdi/a.yaml",
		  "{cdiVersion: 0.3.0, kind: v/c, containerEdits: {env: [ALL=1]}, devices: ["
		  "{name: x, containerEdits: {env: [X=1]}}, {name: y, containerEdits: {env: [Y=1]}}"
		  "]}");
	want(&b, "v/c", "y");
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	REQUIRE_EQ(b.loaded.edits->process->n_env, 3u);
	CHECK_STR(b.loaded.edits->process->env[1], "Y=1");
	CHECK_STR(b.loaded.edits->process->env[2], "X=1");
	bench_remove(&b);
}

Test(load, precedence)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "etc/cdi/a.yaml", SPEC("v/c", "x", "env: [X=etc]"));
	tree_file(&b.tree, "run/cdi/b.yaml", SPEC("v/c", "x", "env: [X=run]"));
	REQUIRE_EQ(mkdirat(b.tree.roots.root, "var", 0755), 0);
	REQUIRE_EQ(symlinkat("/run", b.tree.roots.root, "var/run"), 0);
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	REQUIRE_EQ(b.loaded.edits->process->n_env, 2u);
	CHECK_STR(b.loaded.edits->process->env[1], "X=run");
	/* two of the same precedence */
	tree_file(&b.tree, "run/cdi/c.json", SPEC("v/c", "x", "env: [X=run]"));
	CHECK_EQ(load(&b), -1);
	CHECK_EQ(b.err.code, ERROR_FAILED_PRECONDITION);
	CHECK_STR(b.err.msg, "CDI device v/c=x is in both /run/cdi/b.yaml and /run/cdi/c.json");
	bench_remove(&b);
}

Test(load, var_run_is_a_directory_of_its_own)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "var/run/cdi/b.yaml", SPEC("v/c", "x", "env: [X=var]"));
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	REQUIRE_EQ(b.loaded.state, CDI_FOUND, "%s", b.loaded.why);
	bench_remove(&b);
}

Test(load, nodes)
{
	const Grpc__Linux *l;
	struct bench b;

	bench_make(&b);
	make_node(&b, "dev/a", S_IFCHR | 0640, 7);
	make_node(&b, "dev/b", S_IFBLK | 0600, 8);
	make_node(&b, "dev/p", S_IFIFO | 0600, 0);
	tree_file(&b.tree, "run/cdi/a.yaml",
		  SPEC("v/c", "x",
		       "deviceNodes: [{path: /dev/one, hostPath: /dev/a, permissions: r},"
		       "{path: /dev/b, uid: 5, gid: 6, fileMode: 0666, permissions: none},"
		       "{path: /dev/p}, {path: /dev/full, type: c, major: 9, minor: 3}]"));
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	REQUIRE_EQ(b.loaded.state, CDI_FOUND, "%s", b.loaded.why);
	l = b.loaded.edits->linux;
	REQUIRE_EQ(l->n_devices, 4u);
	CHECK_STR(l->devices[0]->path, "/dev/one");
	CHECK_STR(l->devices[0]->type, "c");
	CHECK(l->devices[0]->major == 1 && l->devices[0]->minor == 7);
	CHECK_EQ(l->devices[0]->filemode, 0640u);
	CHECK(l->devices[0]->uid == 1000 && l->devices[0]->gid == 1001, "the container's user");
	CHECK_STR(l->devices[1]->type, "b");
	CHECK(l->devices[1]->uid == 5 && l->devices[1]->gid == 6);
	CHECK_EQ(l->devices[1]->filemode, 0666u);
	CHECK_STR(l->devices[2]->type, "p");
	CHECK(l->devices[3]->major == 9 && l->devices[3]->minor == 3);
	/* no rule for a FIFO, and none if no access is wanted */
	REQUIRE_EQ(l->resources->n_devices, 2u);
	CHECK(l->resources->devices[0]->allow);
	CHECK_STR(l->resources->devices[0]->access, "r");
	CHECK_EQ(l->resources->devices[0]->minor, 7);
	CHECK_STR(l->resources->devices[1]->access, "rwm");
	CHECK_EQ(l->resources->devices[1]->major, 9);
	bench_remove(&b);
}

Test(load, node_that_is_not_that_of_its_name)
{
	static const struct {
		const char *edits, *error;
	} rows[] = {
		{ "deviceNodes: [{path: /dev/link}]", "failed to open device node /dev/link" },
		{ "deviceNodes: [{path: /dev/dir/a}]", "failed to open device node /dev/dir/a" },
		{ "deviceNodes: [{path: /dev/x, hostPath: /link}]", "device node /link" },
		{ "deviceNodes: [{path: /dev/file}]", "/dev/file is not a device node of type" },
		{ "deviceNodes: [{path: /dev/a, type: b}]", "is not a device node of type \"b\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[512];
		struct bench b;

		bench_make(&b);
		make_node(&b, "dev/a", S_IFCHR | 0640, 7);
		tree_file(&b.tree, "dev/file", "");
		REQUIRE_EQ(symlinkat("a", b.tree.roots.dev, "link"), 0);
		REQUIRE_EQ(symlinkat(".", b.tree.roots.dev, "dir"), 0);
		REQUIRE_EQ(symlinkat("dev/a", b.tree.roots.root, "link"), 0);
		(void)snprintf(text, sizeof(text),
			       "{cdiVersion: 0.5.0, kind: v/c, devices: [{name: x, "
			       "containerEdits: {%s}}]}",
			       rows[i].edits);
		tree_file(&b.tree, "run/cdi/a.yaml", text);
		want(&b, "v/c", "x");
		CHECK_EQ(load(&b), -1, "row %zu", i);
		CHECK_EQ(b.err.code, ERROR_FAILED_PRECONDITION);
		CHECK(strstr(b.err.msg, rows[i].error), "row %zu: %s", i, b.err.msg);
		bench_remove(&b);
	}
}

/* ---- what is missing, and the changes after which it may be there ---- */

Test(load, directory_that_appears)
{
	struct bench b;

	bench_make(&b);
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_MISSING);
	CHECK_STR(b.loaded.why, "CDI device v/c=x: no CDI spec in /etc/cdi and /var/run/cdi has "
				"kind v/c");
	CHECK(!has_changed(&b));
	REQUIRE_EQ(mkdirat(b.tree.roots.run, "cdi", 0755), 0);
	CHECK(has_changed(&b), "/run/cdi");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_MISSING);
	tree_file(&b.tree, "run/cdi/a.yaml", SPEC("v/c", "x", "env: [X=1]"));
	CHECK(has_changed(&b), "a file");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_FOUND, "%s", b.loaded.why);
	REQUIRE_EQ(mkdirat(b.tree.roots.root, "etc", 0755), 0);
	CHECK(has_changed(&b), "/etc");
	bench_remove(&b);
}

Test(load, device_that_appears)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "run/cdi/a.yaml", SPEC("v/c", "x", "env: [X=1]"));
	want(&b, "v/c", "x");
	want(&b, "v/c", "y");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_MISSING_DEVICE);
	CHECK(strstr(b.loaded.why, "CDI device v/c=y: no CDI spec of its kind"), "%s",
	      b.loaded.why);
	CHECK(!has_changed(&b));
	tree_file(&b.tree, "run/cdi/a.tmp", SPEC("v/c", "y", "env: [Y=1]"));
	REQUIRE_EQ(renameat(b.tree.roots.run, "cdi/a.tmp", b.tree.roots.run, "cdi/b.yaml"), 0);
	CHECK(has_changed(&b));
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_FOUND, "%s", b.loaded.why);
	bench_remove(&b);
}

Test(load, node_that_appears)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "run/cdi/a.yaml", SPEC("v/c", "x", "deviceNodes: [{path: /dev/sub/a}]"));
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_MISSING);
	CHECK_STR(b.loaded.why, "CDI: device node /dev/sub/a does not exist");
	REQUIRE_EQ(mkdirat(b.tree.roots.dev, "sub", 0755), 0);
	CHECK(has_changed(&b), "/dev/sub");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_MISSING);
	make_node(&b, "dev/sub/a", S_IFCHR | 0600, 3);
	CHECK(has_changed(&b), "/dev/sub/a");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_FOUND, "%s", b.loaded.why);
	bench_remove(&b);
}

Test(load, watches_that_cannot_be_had)
{
	struct bench b;
	int inotify;

	bench_make(&b);
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	CHECK(!b.loaded.is_unwatched);
	inotify = b.request.inotify;
	/* not a descriptor of inotify */
	b.request.inotify = b.tree.roots.run;
	REQUIRE_OK(load(&b), &b.err);
	CHECK(b.loaded.is_unwatched);
	b.request.inotify = -1;
	REQUIRE_OK(load(&b), &b.err);
	CHECK(b.loaded.is_unwatched);
	b.request.inotify = inotify;
	bench_remove(&b);
}

/* ---- invalid files ---- */

Test(load, invalid_file)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "run/cdi/bad.yaml", "kind: [\n");
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_MISSING, "its kind is not known");
	CHECK(strstr(b.loaded.why, "; invalid CDI spec /run/cdi/bad.yaml: line 2: "), "%s",
	      b.loaded.why);
	/* one of the kind is named rather than another */
	tree_file(&b.tree, "run/cdi/old.yaml", "{kind: v/c, cdiVersion: 0.1.0}");
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_MISSING_DEVICE);
	CHECK(strstr(b.loaded.why, "; invalid CDI spec /run/cdi/old.yaml: line 1: cdiVersion"),
	      "%s", b.loaded.why);
	/* others can be used nevertheless */
	tree_file(&b.tree, "run/cdi/good.yaml", SPEC("v/c", "x", "env: [X=1]"));
	REQUIRE_OK(load(&b), &b.err);
	CHECK_EQ(b.loaded.state, CDI_FOUND);
	CHECK(strstr(b.loaded.why, "invalid CDI spec /run/cdi/"), "%s", b.loaded.why);
	bench_remove(&b);
}

Test(load, files_that_are_not_read)
{
	static char large[CDI_FILE_MAX + 2];
	struct bench b;

	bench_make(&b);
	memset(large, '#', sizeof(large) - 1);
	tree_file(&b.tree, "run/cdi/large.yaml", large);
	want(&b, "v/c", "x");
	REQUIRE_OK(load(&b), &b.err);
	CHECK(strstr(b.loaded.why, "/run/cdi/large.yaml: larger than 1048576 bytes"), "%s",
	      b.loaded.why);
	REQUIRE_EQ(unlinkat(b.tree.roots.root, "run/cdi/large.yaml", 0), 0);
	/* A FIFO would block. */
	REQUIRE_EQ(mkfifoat(b.tree.roots.root, "run/cdi/fifo.json", 0600), 0);
	REQUIRE_EQ(mkdirat(b.tree.roots.root, "run/cdi/dir.json", 0700), 0);
	REQUIRE_OK(load(&b), &b.err);
	CHECK(strstr(b.loaded.why, "/run/cdi/fifo.json: not a regular file"), "%s", b.loaded.why);
	bench_remove(&b);
}

Test(load, too_many_files)
{
	char path[64];
	struct bench b;

	bench_make(&b);
	for (int i = 0; i <= CDI_FILES_MAX; i++) {
		(void)snprintf(path, sizeof(path), "run/cdi/%d.json", i);
		tree_file(&b.tree, path, "{}");
	}
	want(&b, "v/c", "x");
	CHECK_EQ(load(&b), -1);
	CHECK_EQ(b.err.code, ERROR_RESOURCE_EXHAUSTED);
	bench_remove(&b);
}

Test(load, changes_that_a_guest_does_not_support)
{
	struct bench b;

	bench_make(&b);
	tree_file(&b.tree, "run/cdi/a.yaml", SPEC("v/c", "x", "intelRdt: {closID: a}"));
	want(&b, "v/c", "x");
	CHECK_EQ(load(&b), -1);
	CHECK_EQ(b.err.code, ERROR_FAILED_PRECONDITION);
	CHECK(strstr(b.err.msg, "CDI device v/c=x: /run/cdi/a.yaml: line 1: intelRdt"), "%s",
	      b.err.msg);
	bench_remove(&b);
}
