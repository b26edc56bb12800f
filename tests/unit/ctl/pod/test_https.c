/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by HTTPS: the ports that they need, and the arguments of the program that makes them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/pod/https.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "tests/support/check.h"

static const struct manifest_guest guest = { .ip = VM_ADDRESS, .host_ip = VM_GATEWAY, .uid = "1" };
static struct manifest m;
static struct vm_options vm;
static char dir[] = "/tmp/tatami-https-XXXXXX";

/* A program that exits with the number of the path in its last argument. */
static void
begin(void)
{
	char path[64];
	FILE *f;

	REQUIRE_NE(mkdtemp(dir), NULL);
	(void)snprintf(path, sizeof(path), "%s/curl", dir);
	f = fopen(path, "we");
	REQUIRE_NE(f, NULL);
	(void)fputs("#!/bin/sh\nfor last; do :; done\nexit \"${last##*/}\"\n", f);
	REQUIRE_EQ(fclose(f), 0);
	REQUIRE_EQ(chmod(path, 0755), 0);
	(void)setenv("PATH", dir, 1);
	vm = (struct vm_options){ .nic = true, .configure_nic = true };
}

static void
finish(void)
{
	struct error err = ERROR_INIT;

	(void)path_remove_tree(AT_FDCWD, dir, &err);
	manifest_release(&m);
}

TestSuite(https, .init = begin, .fini = finish);

static void
read_example(void)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(manifest_read(&m, TEST_DATA "/pods/https-probe.yaml", &guest, &err), &err);
}

Test(https, ports)
{
	struct error err = ERROR_INIT;

	read_example();
	/* The pod's own port is used. */
	vm.publish[0] = (struct vm_publish){ "127.0.0.1", 9443, 9443 };
	vm.publish[1] = (struct vm_publish){ "192.0.2.1", 8443, 8443 };
	vm.n_publish = 2;
	REQUIRE_OK(https_publish(&m, &vm, &err), &err);
	REQUIRE_EQ(vm.n_publish, 3, "one for both probes");
	CHECK_STR(vm.publish[2].host, "127.0.0.1");
	CHECK_EQ(vm.publish[2].guest_port, 8443);
	CHECK(vm.publish[2].host_port > 60999 && vm.publish[2].host_port < 65536, "%u",
	      vm.publish[2].host_port);
}

Test(https, requests_that_cannot_be_made)
{
	struct error err = ERROR_INIT;

	read_example();
	vm.configure_nic = false;
	CHECK_EQ(https_publish(&m, &vm, &err), -1);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	CHECK_STR(err.msg, "line 15: spec.containers[0].readinessProbe.httpGet.scheme: HTTPS needs "
			   "a network: not with --no-network");
	vm.configure_nic = true;
	vm.n_publish = VM_PUBLISH_MAX;
	CHECK_EQ(https_publish(&m, &vm, &err), -1);
	CHECK_HAS(err.msg, "more than 8 ports of the host");
}

/* Returns whether an argument follows an option. */
static bool
has(const struct argv *a, const char *option, const char *value)
{
	for (size_t i = 0; i + 1 < a->n; i++)
		if (strcmp(a->items[i], option) == 0 && strcmp(a->items[i + 1], value) == 0)
			return true;
	return false;
}

Test(https, arguments)
{
	const struct manifest_container *c = &m.containers[0];
	struct argv a = { 0 };

	read_example();
	vm.publish[0] = (struct vm_publish){ "127.0.0.1", 62000, 8443 };
	vm.n_publish = 1;
	CHECK(!c->readiness.action.is_request);
	https_arguments(&a, &vm, &c->readiness.action);
	CHECK_STR(a.items[0], "--disable", "it must be the first");
	CHECK(has(&a, "--connect-to", "::127.0.0.1:62000"));
	CHECK(has(&a, "--header", "Host: example.org"));
	CHECK(has(&a, "--header", "X-Empty;"));
	CHECK(has(&a, "--header", "User-Agent: kube-probe/1.0"));
	CHECK_STR(a.items[a.n - 1], "https://10.0.2.15:8443/healthz?verbose");
	CHECK(!a.failed);
	argv_release(&a);
}

Test(https, results)
{
	static const struct {
		const char *path;
		int status;
	} rows[] = { { "/0", 0 }, { "/22", 22 } };
	struct manifest_action action = { .https_port = 8443 };
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int status;
		pid_t pid;

		action.https_path = rows[i].path;
		pid = https_start(&vm, &action, &err);
		REQUIRE(pid > 0, "%s", err.msg);
		REQUIRE_EQ(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == rows[i].status, "%s: 0x%x",
		      rows[i].path, (unsigned)status);
	}
}
