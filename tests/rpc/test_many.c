/* SPDX-License-Identifier: Apache-2.0 */
/* Many containers in sequence and at the same time: no resource grows. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/spec/spec.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/rpc/harness.h"

#define RSS_GROWTH_KIB 64

static void
cycles(struct harness *h, int n)
{
	for (int i = 0; i < n && !h->failures; i++) {
		struct error err = ERROR_INIT;
		char out[64], id[16];
		int code;

		(void)snprintf(id, sizeof(id), "c%d", i);
		code = run_container(h, id, SH("echo $((6*7))"), out, sizeof(out), &err);
		CHECK(code == 0 && strcmp(out, "42\n") == 0, "cycle %d: code %d \"%s\" %s", i, code,
		      out, err.msg);
	}
}

/* The sanitizers keep freed memory. */
static void
check_rss(struct harness *h, const struct counts *before, const struct counts *after)
{
	if (h->is_product)
		CHECK_LE(after->rss_kib, before->rss_kib + RSS_GROWTH_KIB,
			 "RSS grew from %llu to %llu KiB", (unsigned long long)before->rss_kib,
			 (unsigned long long)after->rss_kib);
}

static void
one_after_another(struct harness *h)
{
	struct counts before, after;
	int n = h->soak ? 200 : 40;
	uint64_t start_ns;

	/* warm up */
	cycles(h, 20);
	harness_settle(h, &before);
	start_ns = monotonic_ns();
	cycles(h, n);
	harness_settle(h, &after);
	printf("# %d containers, %llu us each; RSS %llu -> %llu KiB\n", n,
	       (unsigned long long)((monotonic_ns() - start_ns) / 1000 / (uint64_t)n),
	       (unsigned long long)before.rss_kib, (unsigned long long)after.rss_kib);
	check_rss(h, &before, &after);
}

enum { TOGETHER_MAX = 64 };

static void
together(struct harness *h, int n)
{
	struct error err = ERROR_INIT;
	uint32_t calls[TOGETHER_MAX];

	for (int i = 0; i < n; i++) {
		char id[16];
		struct arena a;
		Grpc__CreateContainerRequest *q;

		(void)snprintf(id, sizeof(id), "m%d", i);
		arena_init(&a, 1 << 20);
		q = make_create(h, &a, id, SH("echo $HOSTNAME; sleep 3600"), false);
		calls[i] = ttrpc_client_start(h->client, &grpc__agent_service__descriptor,
					      "CreateContainer", &q->base, 0, NULL, NULL, &err);
		arena_release(&a);
	}
	for (int i = 0; i < n; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "m%d", i);
		CHECK_EQ(ttrpc_client_wait(h->client, calls[i], 60000, NULL, &err), 0,
			 "create %s: %s", id, err.msg);
		CHECK_EQ(start(h, id, &err), 0, "start %s: %s", id, err.msg);
	}
	CHECK_OK(check_health(h->client, &err), &err);
	for (int i = 0; i < n; i++) {
		Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
		char id[16];

		(void)snprintf(id, sizeof(id), "m%d", i);
		q.container_id = id;
		calls[i] = ttrpc_client_start(h->client, &grpc__agent_service__descriptor,
					      "RemoveContainer", &q.base, 0, NULL, NULL, &err);
	}
	for (int i = 0; i < n; i++)
		CHECK_EQ(ttrpc_client_wait(h->client, calls[i], 60000, NULL, &err), 0,
			 "remove m%d: %s", i, err.msg);
}

static void
at_the_same_time(struct harness *h)
{
	int n = h->soak ? TOGETHER_MAX : 16;
	struct counts before, after;

	/* warm up */
	together(h, n);
	harness_settle(h, &before);
	together(h, n);
	harness_settle(h, &after);
	printf("# %d containers at the same time; RSS %llu -> %llu KiB\n", n,
	       (unsigned long long)before.rss_kib, (unsigned long long)after.rss_kib);
	check_rss(h, &before, &after);
}

/* stdin, stdout, stderr, the pidfd, and the mount and cgroup namespaces; memory.events is one more
 * where there is a memory controller. */
#define FDS_OF_CONTAINER 6

static void
fds_of_a_container(struct harness *h)
{
	enum { N = 4 };
	/* The exec is in the namespaces of the first process, which the agent has no fds of. */
	const char *same = "for n in mnt pid ipc uts cgroup; do "
			   "test $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) || "
			   "echo $n; done";
	struct error err = ERROR_INIT;
	struct counts before, now;
	char out[64], id[16];
	unsigned int memory;

	/* The first container's pid namespace is kept for the sandbox. */
	CHECK_OK(create_start(h, "first", SH("sleep 3600"), &err), &err);
	harness_settle(h, &before);
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "f%d", i);
		CHECK_OK(create_start(h, id, SH("sleep 3600"), &err), &err);
	}
	harness_settle(h, &now);
	memory = access("/sys/fs/cgroup/pods/f0/memory.events", F_OK) == 0;
	CHECK_EQ(now.fds - before.fds, N * (FDS_OF_CONTAINER + memory), "fds of %d containers", N);
	CHECK_OK(exec(h, "f0", "same", SH(same), false, &err), &err);
	CHECK(read_all(h, false, "f0", "same", out, sizeof(out), &err) >= 0 && !*out,
	      "other namespaces: %s %s", out, err.msg);
	CHECK_EQ(wait_process(h, "f0", "same", &err), 0, "exec: %s", err.msg);
	CHECK_OK(exec(h, "first", "same", SH(same), false, &err), &err);
	CHECK(read_all(h, false, "first", "same", out, sizeof(out), &err) >= 0 && !*out,
	      "other namespaces in the first container: %s %s", out, err.msg);
	CHECK_EQ(wait_process(h, "first", "same", &err), 0, "exec: %s", err.msg);
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "f%d", i);
		CHECK_OK(remove_container(h, id, &err), &err);
	}
	CHECK_OK(remove_container(h, "first", &err), &err);
}

static void
exec_storm(struct harness *h)
{
	enum { N = 50 };
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	for (int i = 0; i < N; i++) {
		char exec_id[16];

		(void)snprintf(exec_id, sizeof(exec_id), "e%d", i);
		CHECK_EQ(exec(h, "c1", exec_id, SH("echo $((1+1))"), false, &err), 0, "%s: %s",
			 exec_id, err.msg);
	}
	for (int i = 0; i < N; i++) {
		char exec_id[16], out[16];

		(void)snprintf(exec_id, sizeof(exec_id), "e%d", i);
		CHECK(read_all(h, false, "c1", exec_id, out, sizeof(out), &err) >= 0 &&
			      strcmp(out, "2\n") == 0,
		      "%s: \"%s\" %s", exec_id, out, err.msg);
		CHECK_EQ(wait_process(h, "c1", exec_id, &err), 0, "%s: %s", exec_id, err.msg);
	}
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* Starts an exec that prints the length of its last argument, without waiting for the reply. */
static uint32_t
begin_exec(struct harness *h, const char *exec_id, size_t bytes, struct error *err)
{
	static const char *const env[] = { "PATH=/bin:/sbin:/usr/bin" };
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	auto_free char *last = malloc(bytes + 1);
	struct container_options o = { .env = env, .n_env = 1, .cwd = "/" };
	struct arena a;
	uint32_t id = 0;

	if (!last)
		return 0;
	memset(last, 'x', bytes);
	last[bytes] = '\0';
	o.args = (char *const *)(uintptr_t)ARGS("/bin/sh", "-c", "echo ${#1}", "sh", last);
	arena_init(&a, 1 << 20);
	q.container_id = (char *)(uintptr_t) "c1";
	q.exec_id = (char *)(uintptr_t)exec_id;
	q.process = spec_process(&a, &o);
	if (q.process)
		id = ttrpc_client_start(h->client, &grpc__agent_service__descriptor, "ExecProcess",
					&q.base, 0, NULL, NULL, err);
	arena_release(&a);
	return id;
}

/* The agent retains parts of its containers' specs. Creates a container with `bytes` more to
 * retain than usual. */
static int
create_kept(struct harness *h, const char *id, size_t bytes, struct error *err)
{
	auto_free char *version = malloc(bytes + 16);
	Grpc__CreateContainerRequest *q;
	struct arena a;
	int r = -1;

	if (!version)
		return error_nomem(err, "making a request");
	(void)snprintf(version, bytes + 16, "1.2.0+%0*d", (int)bytes, 0);
	arena_init(&a, 1 << 20);
	q = make_create(h, &a, id, ARGS("/bin/true"), false);
	if (q) {
		q->oci->version = version;
		r = call(h, "CreateContainer", q, NULL, err);
	}
	arena_release(&a);
	return r;
}

/* Two execs at the same time print the length of their last arguments. */
static void
check_arguments(struct harness *h, size_t bytes)
{
	enum { TOGETHER = 2 };
	struct error err = ERROR_INIT;
	uint32_t calls[TOGETHER];
	char id[16], out[64], want[32];

	for (size_t i = 0; i < TOGETHER; i++) {
		(void)snprintf(id, sizeof(id), "e%zu", i);
		calls[i] = begin_exec(h, id, bytes + i, &err);
	}
	for (size_t i = 0; i < TOGETHER; i++)
		CHECK_OK(ttrpc_client_wait(h->client, calls[i], 30000, NULL, &err), &err);
	for (size_t i = 0; i < TOGETHER; i++) {
		(void)snprintf(id, sizeof(id), "e%zu", i);
		(void)snprintf(want, sizeof(want), "%zu\n", bytes + i);
		CHECK(read_all(h, false, "c1", id, out, sizeof(out), &err) >= 0 &&
			      strcmp(out, want) == 0,
		      "an argument of %zu bytes: \"%s\" %s", bytes + i, out, err.msg);
		CHECK_OK(wait_process(h, "c1", id, &err), &err);
	}
}

/* Before it runs its program, an exec wipes the memory that it has inherited from the agent, except
 * its own arguments. The layout depends on the agent's current and earlier contents, so containers
 * are created and removed meanwhile. */
static void
arguments_side_by_side(struct harness *h)
{
	enum { CONTAINERS = 12 };
	/* The sanitizers build wipes nothing. */
	const size_t rounds = h->is_product ? 16 : 2;
	struct error err = ERROR_INIT;
	char id[16];

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	for (size_t round = 0; round < rounds && !h->failures; round++) {
		for (size_t i = 0; i < CONTAINERS; i++) {
			(void)snprintf(id, sizeof(id), "kept%zu", i);
			CHECK_OK(create_kept(h, id, 1 + 50 * round, &err), &err);
			check_arguments(h, 100 * round);
		}
		for (size_t i = 0; i < CONTAINERS; i++) {
			(void)snprintf(id, sizeof(id), "kept%zu", (i + round) % CONTAINERS);
			CHECK_OK(remove_container(h, id, &err), &err);
			check_arguments(h, 100 * round);
		}
	}
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

const struct test tests_many[] = {
	{ "many containers in sequence", one_after_another },
	{ "many containers at the same time", at_the_same_time },
	{ "exec storm", exec_storm },
	{ "file descriptors of a container", fds_of_a_container },
	{ "concurrent execs get their own arguments", arguments_side_by_side },
};
const size_t n_tests_many = ARRAY_LEN(tests_many);
