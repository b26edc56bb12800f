/* SPDX-License-Identifier: Apache-2.0 */
/* The process of the pause bundle, read from a fake root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/sandbox/create_pause.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/check.h"

#define CONFIG "pause_bundle/config.json"

static struct roots roots;
static char dir[32];
static struct create_pause pause_spec;
static Grpc__Spec spec = GRPC__SPEC__INIT;
static Grpc__Process process = GRPC__PROCESS__INIT;
static char *host_args[] = { (char *)"/host-pause" };
static char *host_env[] = { (char *)"A=host" };

static void
setup(void)
{
	strcpy(dir, "/tmp/test-pause-XXXXXX");
	REQUIRE(mkdtemp(dir));
	roots.run = roots.proc = roots.sys = roots.dev = roots.cgroup = -1;
	roots.root = open(dir, O_PATH | O_CLOEXEC);
	REQUIRE_EQ(mkdirat(roots.root, "pause_bundle", 0755), 0);
	process.args = host_args;
	process.n_args = 1;
	process.env = host_env;
	process.n_env = 1;
	process.cwd = (char *)"/host";
	process.nonewprivileges = true;
	spec.process = &process;
}

static void
teardown(void)
{
	(void)unlinkat(roots.root, CONFIG, 0);
	REQUIRE_EQ(unlinkat(roots.root, "pause_bundle", AT_REMOVEDIR), 0);
	REQUIRE_EQ(rmdir(dir), 0);
	close(roots.root);
}

TestSuite(create_pause, .init = setup, .fini = teardown);

static int
fill(const char *config, struct error *err)
{
	auto_close int fd =
		openat(roots.root, CONFIG, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	*err = ERROR_INIT;
	REQUIRE_EQ(write_full(fd, config, strlen(config)), 0);
	return create_pause_fill(&pause_spec, &roots, &spec, err);
}

Test(create_pause, process_of_the_bundle)
{
	const Grpc__Process *p = &pause_spec.process;
	struct error err;

	REQUIRE_OK(fill("{\"ociVersion\":\"1.0\",\"process\":{\"args\":[\"/pause\",\"-x\"],"
			"\"env\":[\"PATH=/bin\"],\"cwd\":\"/w\",\"terminal\":true,"
			"\"user\":{\"uid\":65535,\"gid\":7,\"additionalGids\":[8,9]}}}",
			&err),
		   &err);
	CHECK_EQ(pause_spec.spec.process, p);
	CHECK_EQ(p->n_args, 2);
	CHECK_STR(p->args[0], "/pause");
	CHECK_STR(p->args[1], "-x");
	CHECK_EQ(p->n_env, 1);
	CHECK_STR(p->env[0], "PATH=/bin");
	CHECK_STR(p->cwd, "/w");
	CHECK(p->user->uid == 65535 && p->user->gid == 7);
	CHECK(p->user->n_additionalgids == 2 && p->user->additionalgids[1] == 9);
	/* The host's: its streams are open already. */
	CHECK(!p->terminal && p->nonewprivileges);
	/* The host's spec is as it was. */
	CHECK_STR(spec.process->args[0], "/host-pause");
}

Test(create_pause, least_process)
{
	const Grpc__Process *p = &pause_spec.process;
	struct error err;

	REQUIRE_OK(fill("{\"process\":{\"args\":[\"/pause\"]}}", &err), &err);
	CHECK_EQ(p->n_env, 0);
	CHECK_STR(p->cwd, "/");
	CHECK_EQ(p->user->uid, 0);
}

Test(create_pause, invalid_configurations)
{
	static const struct {
		const char *config, *why;
	} rows[] = {
		{ "", "no process" },
		{ "{\"process\":{\"args\":[\"/pause\"]}", "no process" },
		{ "{}", "no process" },
		{ "{\"process\":{}}", "process.args" },
		{ "{\"process\":{\"args\":[]}}", "process.args" },
		{ "{\"process\":{\"args\":[1]}}", "process.args" },
		{ "{\"process\":{\"args\":[\"\\u0000\"]}}", "process.args" },
		{ "{\"process\":{\"args\":[\"/p\"],\"env\":[{}]}}", "process.env" },
		{ "{\"process\":{\"args\":[\"/p\"],\"cwd\":1}}", "process.cwd" },
		{ "{\"process\":{\"args\":[\"/p\"],\"cwd\":\"x\"}}", "process.cwd" },
		{ "{\"process\":{\"args\":[\"/p\"],\"user\":{\"uid\":-1}}}", "uid" },
		{ "{\"process\":{\"args\":[\"/p\"],\"user\":{\"uid\":4294967295}}}", "uid" },
		{ "{\"process\":{\"args\":[\"/p\"],\"user\":{\"additionalGids\":[\"1\"]}}}",
		  "additionalGids" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err;

		CHECK_EQ(fill(rows[i].config, &err), -1, "%s", rows[i].config);
		CHECK_HAS(err.msg, "/pause_bundle/config.json");
		CHECK_HAS(err.msg, rows[i].why);
	}
}

Test(create_pause, too_many_arguments_and_large_files)
{
	static char text[CREATE_PAUSE_CONFIG + 64];
	struct error err;
	size_t n = (size_t)sprintf(text, "{\"process\":{\"args\":[\"/p\"");

	for (int i = 1; i < CREATE_PAUSE_STRINGS; i++)
		n += (size_t)sprintf(text + n, ",\"x\"");
	(void)sprintf(text + n, "]}}");
	CHECK_OK(fill(text, &err), &err);
	(void)sprintf(text + n, ",\"x\"]}}");
	CHECK_EQ(fill(text, &err), -1);
	memset(text, ' ', CREATE_PAUSE_CONFIG);
	CHECK_EQ(fill(text, &err), -1);
	CHECK_HAS(err.msg, "64 KiB");
}

Test(create_pause, no_bundle)
{
	struct error err = ERROR_INIT;

	CHECK_EQ(create_pause_fill(&pause_spec, &roots, &spec, &err), -1);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION);
}

Test(create_pause, storage_of_the_sandbox_only)
{
	const char *const options[] = {
		"image_guest_pull={\"metadata\":"
		"{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\"}}",
		"image_guest_pull={\"metadata\":"
		"{\"io.kubernetes.cri.container-type\":\"container\"}}",
	};
	struct storage_spec storages[2] = {
		{ .driver = "blk", .driver_options = &options[0], .n_driver_options = 1 },
		{ .driver = "image_guest_pull",
		  .driver_options = &options[1],
		  .n_driver_options = 1 }
	};

	CHECK(!create_pause_is_wanted(storages, 2));
	storages[1].driver_options = &options[0];
	CHECK(create_pause_is_wanted(storages, 2));
	CHECK(!create_pause_is_wanted(NULL, 0));
}
