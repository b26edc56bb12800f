/* SPDX-License-Identifier: Apache-2.0 */
/* Refusal of confidential guests and of containers that need one. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/confidential.h"
#include "agent/container/spec/validate.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/path.h"
#include "tests/support/check.h"

static char dir[] = "/tmp/test-confidential-XXXXXX";
static struct roots roots = { -1, -1, -1, -1, -1, -1 };
static struct config config;
static struct error err;

static bool
keep_quiet(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return true;
}

static void
put(const char *path, const char *text)
{
	char full[256];
	FILE *f;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(full, sizeof(full), "%s/%.*s", dir, (int)(slash - path), path);
		(void)mkdir(full, 0755);
	}
	(void)snprintf(full, sizeof(full), "%s/%s", dir, path);
	f = fopen(full, "we");
	REQUIRE(f, "%s", full);
	fputs(text, f);
	fclose(f);
}

static void
up(void)
{
	log_set_sink(keep_quiet, NULL);
	REQUIRE(mkdtemp(dir));
	put("dev/null", "");
	roots.root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	roots.dev = openat(roots.root, "dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(roots.root >= 0 && roots.dev >= 0);
	config_init(&config);
}

static void
down(void)
{
	roots_close(&roots);
	CHECK_OK(path_remove_tree(AT_FDCWD, dir, &err), &err);
}

TestSuite(confidential, .init = up, .fini = down);

static void
expect_served(const char *why)
{
	err = ERROR_INIT;
	CHECK_EQ(confidential_refuse(&config, &roots, &err), 0, "%s: %s", why, err.msg);
}

static void
expect_refused(const char *says)
{
	err = ERROR_INIT;
	CHECK_EQ(confidential_refuse(&config, &roots, &err), -1, "%s", says);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION);
	CHECK_HAS(err.msg, says, "says %s", err.msg);
}

Test(confidential, initdata)
{
	expect_served("empty guest");
	put("dev/vda", "something else");
	put("dev/vdb", "initdat");
	put("dev/sda", "");
	put("dev/nvme0n1", "initdata");
	put("dev/xvda", "initdata");
	REQUIRE_EQ(symlinkat("nvme0n1", roots.dev, "vdlink"), 0);
	REQUIRE_EQ(mkdirat(roots.dev, "vddir", 0755), 0);
	REQUIRE_EQ(mkfifoat(roots.dev, "sdfifo", 0600), 0);
	expect_served("no disk with initdata");
	put("dev/vdc", "initdata\1\0\0");
	expect_refused("/dev/vdc holds initdata");
	REQUIRE_EQ(unlinkat(roots.dev, "vdc", 0), 0);
	put("dev/sdb1", "initdata");
	expect_refused("/dev/sdb1 holds initdata");
}

Test(confidential, configured_components)
{
	static const struct {
		/* says NULL: served */
		const char *cmdline, *says;
	} rows[] = {
		{ "", NULL },
		{ "agent.guest_components_procs=none", NULL },
		{ "agent.guest_components_procs=none agent.guest_components_rest_api=all", NULL },
		{ "agent.guest_components_procs=attestation-agent", "guest_components_procs" },
		{ "agent.guest_components_procs=confidential-data-hub", "guest_components_procs" },
		{ "agent.guest_components_procs=api-server-rest", "guest_components_procs" },
		{ "agent.guest_components_rest_api=attestation", "guest_components_rest_api" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		config_init(&config);
		REQUIRE_EQ(config_read_cmdline(&config, rows[i].cmdline), 0);
		if (rows[i].says)
			expect_refused(rows[i].says);
		else
			expect_served(rows[i].cmdline);
	}
}

/* An image that lacks some of the components is accepted. */
Test(confidential, components_in_the_image)
{
	put("usr/local/bin/attestation-agent", "");
	put("usr/local/bin/api-server-rest", "");
	expect_served("incomplete components");
	put("usr/local/bin/confidential-data-hub", "");
	expect_refused("/usr/local/bin/attestation-agent");
	(void)config_read_cmdline(&config, "agent.guest_components_procs=none");
	expect_served("components disabled");
}

Test(confidential, extension)
{
	put("run/kata-extensions/devkit/bin/devkit-sh", "");
	expect_served("another extension");
	put("run/kata-extensions/coco/etc/kata-extensions/components.toml", "");
	expect_refused("/run/kata-extensions/coco");
}

Test(confidential, containers)
{
	static const struct {
		const char *env, *device;
		bool is_refused;
	} rows[] = {
		{ "A=b", "/dev/null", false },
		{ "SECRET=sealed.eyJ.ewog_-0.ZmFr", "/dev/null", true },
		{ "SECRET=sealed.envelope", "/dev/null", false },
		{ "SECRET=sealed.a.b.c.d", "/dev/null", false },
		{ "SECRET=sealed.a..c", "/dev/null", false },
		{ "SECRET=sealed.a.b.c d", "/dev/null", false },
		{ "SECRET=unsealed.a.b.c", "/dev/null", false },
		{ "sealed.a.b.c", "/dev/null", false },
		{ "A=b", "/dev/trusted_store", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *env[] = { (char *)(uintptr_t) "PATH=/bin", (char *)(uintptr_t)rows[i].env };
		Grpc__LinuxDevice device = GRPC__LINUX_DEVICE__INIT, *devices[] = { &device };
		Grpc__Process process = GRPC__PROCESS__INIT;
		Grpc__Linux linux_part = GRPC__LINUX__INIT;
		Grpc__Spec spec = GRPC__SPEC__INIT;

		process.env = env;
		process.n_env = 2;
		device.path = (char *)(uintptr_t)rows[i].device;
		linux_part.devices = devices;
		linux_part.n_devices = 1;
		spec.process = &process;
		spec.linux = &linux_part;
		err = ERROR_INIT;
		CHECK_EQ(sealed_validate(&spec, &err), rows[i].is_refused ? -1 : 0, "row %zu", i);
		if (!rows[i].is_refused)
			continue;
		CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION);
		CHECK_LACKS(err.msg, "eyJ", "the value is in the error: %s", err.msg);
	}
}
