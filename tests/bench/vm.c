/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures an agent in a VM and crun in the same VM: `bench-vm ADDRESS CONTAINERS`. The VM's initrd
 * is built by tests/diff/image, and its sandbox exists. Prints rows (rows.h). Started by
 * tests/bench/run.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/parse.h"
#include "tests/bench/profile.h"
#include "tests/bench/rows.h"
#include "tests/diff/config.h"
#include "tests/diff/link.h"

/* lives or execs in a round */
#define PER_ROUND    5
#define GUEST_ROOTFS "/diff/rootfs"
#define BUNDLE       "/run/bench"
#define CRUN         "crun", "--cgroup-manager=cgroupfs"

struct bench {
	struct harness h;
	struct link link;
};

static void
must(int r, const char *what, const struct error *err)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "bench-vm: %s: %s\n", what, err->msg);
	exit(1);
}

/* Returns a container with containerd's default spec and seccomp profile. */
static Grpc__CreateContainerRequest *
default_container(struct bench *b, struct arena *a, const char *id, const char *const *args)
{
	Grpc__CreateContainerRequest *q = make_create(&b->h, a, id, args, false);

	if (q)
		q->oci->linux->seccomp = profile_default(a);
	return q;
}

/* Writes the same container for crun, with the pid namespace that the agent adds by itself. */
static void
write_bundle(struct bench *b, const char *dir, const char *cgroup, const char *const *args)
{
	static const struct config_place in_crun = { .root = GUEST_ROOTFS };
	struct config_place place = in_crun;
	static Grpc__LinuxNamespace pid = GRPC__LINUX_NAMESPACE__INIT;
	Grpc__LinuxNamespace *list[8];
	struct error err = ERROR_INIT;
	Grpc__CreateContainerRequest *q;
	auto_free char *json = NULL;
	char path[128];
	struct arena a;
	Grpc__Linux *l;

	arena_init(&a, 1 << 20);
	q = default_container(b, &a, "bench", args);
	l = q->oci->linux;
	pid.type = (char *)(uintptr_t) "pid";
	memcpy(list, l->namespaces, l->n_namespaces * sizeof(list[0]));
	list[l->n_namespaces++] = &pid;
	l->namespaces = list;
	place.cgroups_path = cgroup;
	json = config_json(q->oci, &place);
	arena_release(&a);
	if (!json)
		must(error_nomem(&err, "config.json"), "make", &err);
	must(link_run(&b->link, "crun/cli", ARGS("busybox", "mkdir", "-p", dir), &err), "mkdir",
	     &err);
	(void)snprintf(path, sizeof(path), "%s/config.json", dir);
	must(link_write(&b->link, path, json, strlen(json), &err), "write the bundle", &err);
}

static uint64_t
agent_cpu_us(struct bench *b)
{
	struct error err = ERROR_INIT;
	uint64_t agent, pods;

	must(link_cpu_us(&b->link, "agent", &agent, &err), "cpu.stat", &err);
	must(link_cpu_us(&b->link, "pods", &pods, &err), "cpu.stat", &err);
	return agent + pods;
}

static uint64_t
crun_cpu_us(struct bench *b)
{
	struct error err = ERROR_INIT;
	uint64_t us;

	must(link_cpu_us(&b->link, "crun", &us, &err), "cpu.stat", &err);
	return us;
}

/* Runs a block of whole container lives; ns: times until they were started. */
static void
agent_lives(struct bench *b, unsigned int rounds, uint64_t *ns)
{
	struct error err = ERROR_INIT;

	for (unsigned int i = 0; i < rounds; i++) {
		Grpc__CreateContainerRequest *q;
		uint64_t begin = monotonic_ns();
		struct arena a;

		arena_init(&a, 1 << 20);
		q = default_container(b, &a, "bench", ARGS("/bin/true"));
		must(call(&b->h, "CreateContainer", q, NULL, &err), "create", &err);
		must(start(&b->h, "bench", &err), "start", &err);
		if (ns)
			ns[i] = monotonic_ns() - begin;
		must(wait_process(&b->h, "bench", "bench", &err), "wait", &err);
		must(remove_container(&b->h, "bench", &err), "remove", &err);
		arena_release(&a);
	}
}

static void
lives_sample(struct row *row, enum side side, const uint64_t *ns)
{
	for (unsigned int i = 0; i < PER_ROUND; i++)
		row_sample(row, side, (double)ns[i] / 1e6);
}

static void
lives(struct bench *b)
{
	static const char *const run[] = { CRUN, "run", "-b", BUNDLE "/true", "bench", NULL };
	static const char *const start_only[] = { CRUN,      "create", "-b", BUNDLE "/true",
						  "bench",   "--",     CRUN, "start",
						  "bench",   "++",     CRUN, "delete",
						  "--force", "bench",  NULL };
	struct row cpu = { .name = "in the VM: CPU time of create+start+wait+remove",
			   .unit = "ms",
			   .floor = "crun run",
			   .warm_up = PER_ROUND };
	struct row started = { .name = "in the VM: create+start",
			       .unit = "ms",
			       .floor = "crun create, start",
			       .warm_up = PER_ROUND };
	struct error err = ERROR_INIT;
	uint64_t ns[PER_ROUND], before;

	if (!row_is_wanted(cpu.name) && !row_is_wanted(started.name))
		return;
	write_bundle(b, BUNDLE "/true", "/crun/bench", ARGS("/bin/true"));
	agent_lives(b, PER_ROUND, NULL);
	must(link_times(&b->link, 1, "crun/cli", run, ns, &err), "crun run", &err);
	for (unsigned int round = 0; round < rows_rounds(); round++) {
		before = agent_cpu_us(b);
		agent_lives(b, PER_ROUND, ns);
		row_sample(&cpu, OURS, (double)(agent_cpu_us(b) - before) / PER_ROUND / 1e3);
		lives_sample(&started, OURS, ns);
		before = crun_cpu_us(b);
		must(link_times(&b->link, PER_ROUND, "crun/cli", run, ns, &err), "crun run", &err);
		row_sample(&cpu, FLOOR, (double)(crun_cpu_us(b) - before) / PER_ROUND / 1e3);
		must(link_times(&b->link, PER_ROUND, "crun/cli", start_only, ns, &err),
		     "crun create, start", &err);
		lives_sample(&started, FLOOR, ns);
		row_round(&cpu);
		row_round(&started);
	}
	row_print(&cpu);
	row_print(&started);
}

static void
execs(struct bench *b)
{
	static const char *const boot[] = {
		CRUN, "run", "-d", "-b", BUNDLE "/sleep", "sleep", NULL
	};
	static const char *const crun_exec[] = { CRUN, "exec", "sleep", "/bin/true", NULL };
	struct row row = {
		.name = "in the VM: exec+wait", .unit = "ms", .floor = "crun exec", .warm_up = 0
	};
	uint64_t ns[PER_ROUND];
	struct error err = ERROR_INIT;
	struct arena a;

	if (!row_is_wanted(row.name))
		return;
	arena_init(&a, 1 << 20);
	write_bundle(b, BUNDLE "/sleep", "/crun/sleep", ARGS("/bin/sleep", "36000"));
	must(link_times(&b->link, 1, "crun/cli", boot, ns, &err), "crun run -d", &err);
	must(call(&b->h, "CreateContainer",
		  default_container(b, &a, "sleep", ARGS("/bin/sleep", "36000")), NULL, &err),
	     "create", &err);
	must(start(&b->h, "sleep", &err), "start", &err);
	for (unsigned int round = 0; round < rows_rounds(); round++) {
		for (unsigned int i = 0; i < PER_ROUND; i++) {
			char id[16];
			uint64_t begin = monotonic_ns();

			(void)snprintf(id, sizeof(id), "e%u", round * PER_ROUND + i);
			must(exec(&b->h, "sleep", id, ARGS("/bin/true"), false, &err), "exec",
			     &err);
			must(wait_process(&b->h, "sleep", id, &err), "wait for an exec", &err);
			ns[i] = monotonic_ns() - begin;
		}
		lives_sample(&row, OURS, ns);
		must(link_times(&b->link, PER_ROUND, "crun/cli", crun_exec, ns, &err), "crun exec",
		     &err);
		lives_sample(&row, FLOOR, ns);
		row_round(&row);
	}
	must(remove_container(&b->h, "sleep", &err), "remove", &err);
	arena_release(&a);
	row_print(&row);
}

/* Returns the memory of the agent, init's first child. */
static double
agent_rss_kib(struct bench *b)
{
	struct error err = ERROR_INIT;
	unsigned long kib = 0;
	char path[64];
	const char *line;
	unsigned int pid = 0;

	must(link_read(&b->link, "/run/guest-proc/1/task/1/children", &err), "find the agent",
	     &err);
	(void)sscanf(b->link.answer, "%u", &pid);
	(void)snprintf(path, sizeof(path), "/run/guest-proc/%u/cmdline", pid);
	must(link_read(&b->link, path, &err), "read the agent's command line", &err);
	if (!strstr(b->link.answer, "kata-agent"))
		must(error_set(&err, ERROR_INTERNAL, "not the agent"), path, &err);
	(void)snprintf(path, sizeof(path), "/run/guest-proc/%u/status", pid);
	must(link_read(&b->link, path, &err), "read the agent's status", &err);
	line = strstr(b->link.answer, "VmRSS:");
	if (!line || sscanf(line, "VmRSS: %lu", &kib) != 1)
		must(error_set(&err, ERROR_INTERNAL, "no VmRSS"), path, &err);
	return (double)kib;
}

static void
memory(struct bench *b, uint32_t n)
{
	struct error err = ERROR_INIT;
	char id[16];
	static const char name[] = "in the VM: the agent's RSS for each running container";
	double before;

	if (!row_is_wanted(name))
		return;
	agent_lives(b, 20, NULL);
	before = agent_rss_kib(b);
	for (uint32_t i = 0; i < n; i++) {
		Grpc__CreateContainerRequest *q;
		struct arena a;

		arena_init(&a, 1 << 20);
		(void)snprintf(id, sizeof(id), "many%u", i);
		q = default_container(b, &a, id, ARGS("/bin/sleep", "36000"));
		must(call(&b->h, "CreateContainer", q, NULL, &err), "create one of many", &err);
		must(start(&b->h, id, &err), "start one of many", &err);
		arena_release(&a);
	}
	row_print_once(name, "KiB", (agent_rss_kib(b) - before) / n, "the agent without", before);
	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "many%u", i);
		must(remove_container(&b->h, id, &err), "remove one of many", &err);
	}
}

int
main(int argc, char **argv)
{
	static struct bench b = { .h.rootfs = GUEST_ROOTFS };
	struct error err = ERROR_INIT;
	uint32_t n;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc != 3 || !parse_u32(argv[2], &n) || !n) {
		(void)fprintf(stderr, "usage: bench-vm ADDRESS CONTAINERS\n");
		return 2;
	}
	must(link_open(&b.link, &b.h, argv[1], &err), "connect", &err);
	memory(&b, n);
	lives(&b);
	execs(&b);
	link_close(&b.link);
	return 0;
}
