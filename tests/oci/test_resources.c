/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on a container's cgroup: Update, Stats, Pause, Resume and OOM events. See oci.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/loop.h"
#include "tests/oci/oci.h"

#define CG "/sys/fs/cgroup/"

/* Returns the spec of a container that waits to be stopped. */
static Grpc__Spec *
idle(struct oci *t)
{
	return oci_sh(t, "echo up; read x");
}

static int
launch_idle(struct oci *t, Grpc__Spec *spec)
{
	return oci_launch(t, "c1", spec) < 0 ? -1 : oci_read_line(t, "c1", "", "up");
}

static int
update(struct oci *t, Grpc__LinuxResources *r)
{
	Grpc__UpdateContainerRequest q = GRPC__UPDATE_CONTAINER_REQUEST__INIT;

	q.container_id = "c1";
	q.resources = r;
	return oci_call(t, "UpdateContainer", &q, NULL);
}

static int
pause_it(struct oci *t)
{
	Grpc__PauseContainerRequest q = GRPC__PAUSE_CONTAINER_REQUEST__INIT;

	q.container_id = "c1";
	return oci_call(t, "PauseContainer", &q, NULL);
}

static int
resume_it(struct oci *t)
{
	Grpc__ResumeContainerRequest q = GRPC__RESUME_CONTAINER_REQUEST__INIT;

	q.container_id = "c1";
	return oci_call(t, "ResumeContainer", &q, NULL);
}

static Grpc__StatsContainerResponse *
stats_of(struct oci *t, const char *id)
{
	Grpc__StatsContainerRequest q = GRPC__STATS_CONTAINER_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;

	q.container_id = oci_str(t, "%s", id);
	return oci_call(t, "StatsContainer", &q, &reply) < 0
		       ? NULL
		       : (Grpc__StatsContainerResponse *)(void *)reply;
}

static void
stats_free(Grpc__StatsContainerResponse *s)
{
	grpc__stats_container_response__free_unpacked(s, NULL);
}

/* Checks the output of an exec. */
#define SEES(t, want, ...) OCI_EXEC_PRINTS(t, "c1", oci_process(t, IN_SH(__VA_ARGS__)), want)
#define IN_SH(...)         ((const char *const[]){ "/bin/sh", "-c", __VA_ARGS__, NULL })

/* Finds the numbers of the second disk. */
static bool
find_disk(struct oci *t, int64_t *major, int64_t *minor)
{
	char out[64], *colon;

	if (oci_guest(t, out, sizeof(out), "cat $R/sys/block/vdb/dev") < 0)
		return false;
	colon = strchr(out, ':');
	*major = atoi(out);
	*minor = colon ? atoi(colon + 1) : 0;
	return *minor > 0;
}

static void
throttle_disk(struct oci *t, Grpc__LinuxBlockIO *b, uint64_t rate)
{
	Grpc__LinuxThrottleDevice *d =
		OCI_ADD(t, b->throttlereadbpsdevice, b->n_throttlereadbpsdevice,
			grpc__linux_throttle_device__init);

	CHECK(find_disk(t, &d->major, &d->minor), "no disk: %s", t->err.msg);
	d->rate = rate;
}

/* Only the fields that are sent change. */
static void
updates(struct oci *t)
{
	static const char look[] = "cd " CG "; echo $(cat memory.max memory.low memory.swap.max "
				   "cpu.weight cpu.max cpuset.cpus cpuset.mems pids.max "
				   "hugetlb.2MB.max io.max)";
	Grpc__LinuxResources r = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxMemory m = GRPC__LINUX_MEMORY__INIT;
	Grpc__LinuxCPU c = GRPC__LINUX_CPU__INIT;
	Grpc__LinuxPids p = GRPC__LINUX_PIDS__INIT;
	Grpc__LinuxHugepageLimit page = GRPC__LINUX_HUGEPAGE_LIMIT__INIT, *pages[] = { &page };
	Grpc__Spec *spec = idle(t);

	if (oci_needs_vm(t))
		return;
	oci_memory(t, spec)->limit = 64 << 20;
	oci_memory(t, spec)->swap = 96 << 20;
	oci_cpu(t, spec)->quota = 50000;
	oci_pids(t, spec, 50);
	if (!CHECK_EQ(launch_idle(t, spec), 0, "%s", t->err.msg))
		return;
	SEES(t, "67108864 0 33554432 100 50000 100000 50 max\n", look);
	r.memory = &m;
	m.limit = 80 << 20;
	CHECK_EQ(update(t, &r), 0, "%s", t->err.msg);
	SEES(t, "83886080 0 33554432 100 50000 100000 50 max\n", look);
	/* added to the limit in force */
	m.limit = 0;
	m.swap = 100 << 20;
	r.cpu = &c;
	c.period = 20000;
	c.shares = 512;
	CHECK_EQ(update(t, &r), 0, "%s", t->err.msg);
	SEES(t, "83886080 0 20971520 59 50000 20000 50 max\n", look);
	/* the period is kept */
	c = (Grpc__LinuxCPU)GRPC__LINUX_CPU__INIT;
	m = (Grpc__LinuxMemory)GRPC__LINUX_MEMORY__INIT;
	c.quota = 7000;
	c.cpus = "0";
	c.mems = "0";
	m.reservation = 16 << 20;
	CHECK_EQ(update(t, &r), 0, "%s", t->err.msg);
	SEES(t, "83886080 16777216 20971520 59 7000 20000 0 0 50 max\n", look);
	/* -1 is unlimited */
	m.reservation = 0;
	m.limit = -1;
	c.quota = -1;
	p.limit = -1;
	r.pids = &p;
	r.hugepagelimits = pages;
	r.n_hugepagelimits = 1;
	page.pagesize = "2MB";
	page.limit = 4 << 20;
	CHECK_EQ(update(t, &r), 0, "%s", t->err.msg);
	SEES(t, "max 16777216 max 59 max 20000 0 0 max 4194304\n", look);
	r = (Grpc__LinuxResources)GRPC__LINUX_RESOURCES__INIT;
	r.blockio = OCI_MSG(t, r.blockio, grpc__linux_block_io__init);
	throttle_disk(t, r.blockio, 1 << 20);
	CHECK_EQ(update(t, &r), 0, "%s", t->err.msg);
	SEES(t, "rbps=1048576 wbps=max riops=max wiops=max\n", "cut -d' ' -f2- " CG "io.max");
	r.blockio->throttlereadbpsdevice[0]->rate = 0;
	CHECK_EQ(update(t, &r), 0, "%s", t->err.msg);
	SEES(t, "", "cat " CG "io.max");
}

/* A refused update, early or midway, leaves all values unchanged. */
static void
updates_refused(struct oci *t)
{
	static const char look[] =
		"cd " CG "; echo $(cat memory.max cpu.weight cpuset.cpus io.max)";
	Grpc__LinuxThrottleDevice d = GRPC__LINUX_THROTTLE_DEVICE__INIT, *devices[] = { &d };
	Grpc__LinuxResources r = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxMemory m = GRPC__LINUX_MEMORY__INIT;
	Grpc__LinuxBlockIO b = GRPC__LINUX_BLOCK_IO__INIT;
	Grpc__LinuxCPU c = GRPC__LINUX_CPU__INIT;
	Grpc__Spec *spec = idle(t);

	if (oci_needs_vm(t))
		return;
	oci_memory(t, spec)->limit = 64 << 20;
	if (!CHECK_EQ(launch_idle(t, spec), 0, "%s", t->err.msg))
		return;
	r.memory = &m;
	r.cpu = &c;
	m.limit = 80 << 20;
	c.shares = 2048;
	/* a CPU that does not exist, which only the kernel can detect */
	c.cpus = "1,7000";
	CHECK_LT(update(t, &r), 0, "7000 CPUs");
	CHECK_HAS(t->err.msg, "linux.resources.cpu.cpus");
	SEES(t, "67108864 100\n", look);
	c.cpus = "1";
	r.blockio = &b;
	b.throttlereadbpsdevice = devices;
	b.n_throttlereadbpsdevice = 1;
	d.major = 4001;
	d.rate = 1000;
	CHECK_LT(update(t, &r), 0, "a disk that is not there");
	SEES(t, "67108864 100\n", look);
	r.blockio = NULL;
	m.limit = -7;
	CHECK(update(t, &r) < 0 && t->err.code == ERROR_INVALID_ARGUMENT, "%s", t->err.msg);
	SEES(t, "67108864 100\n", look);
}

static Grpc__LinuxDeviceCgroup *
rule(struct oci *t, Grpc__LinuxResources *r, bool allow, const char *type, int64_t major,
     int64_t minor)
{
	Grpc__LinuxDeviceCgroup *d =
		OCI_ADD(t, r->devices, r->n_devices, grpc__linux_device_cgroup__init);

	d->allow = allow;
	d->type = oci_str(t, "%s", type);
	d->major = major;
	d->minor = minor;
	d->access = "rwm";
	return d;
}

/* New device rules take effect at once, without a moment in which none apply. */
static void
device_updates(struct oci *t)
{
	Grpc__LinuxResources some = GRPC__LINUX_RESOURCES__INIT, none = some;
	Grpc__Spec *spec = oci_sh(t, "mknod /dev/fuse c 10 229; mknod /dev/bad c 10 183; echo up;"
				     "while :; do (: </dev/bad) 2>/dev/null && echo window; done");
	unsigned int n = t->h.soak ? 10000 : 100;
	char out[64];

	if (oci_needs_vm(t))
		return;
	if (!CHECK_EQ(launch_idle(t, spec), 0, "%s", t->err.msg))
		return;
	(void)rule(t, &none, false, "a", -1, -1);
	(void)rule(t, &some, false, "a", -1, -1);
	(void)rule(t, &some, true, "c", 10, 229);
	CHECK_EQ(update(t, &some), 0, "%s", t->err.msg);
	SEES(t, "open\n", "(: </dev/fuse) 2>&1 | sed 's/.*: //'; echo open");
	CHECK_EQ(update(t, &none), 0, "%s", t->err.msg);
	SEES(t, "Operation not permitted\n", "(: </dev/fuse) 2>&1 | sed 's/.*: //'");
	for (unsigned int i = 0; i < n; i++)
		if (!CHECK_EQ(update(t, i % 2 ? &none : &some), 0, "update %u: %s", i, t->err.msg))
			return;
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	CHECK_EQ(oci_read(t, "c1", "", out, sizeof(out)), 0, "it could be opened: %s", out);
}

/* The whole container stops, and continues where it was. */
static void
pauses(struct oci *t)
{
	const char *first, *second;
	Grpc__Spec *spec;
	char out[64];

	if (oci_needs_vm(t))
		return;
	(void)oci_rootfs(t);
	spec = oci_sh(t, "trap 'echo term' TERM; echo up; while :; do echo $((i++)) >/n; done");
	CHECK(pause_it(t) < 0 && t->err.code == ERROR_INVALID_ARGUMENT, "%s", t->err.msg);
	if (!CHECK_OK(oci_create(t, "c1", spec), &t->err))
		return;
	CHECK(resume_it(t) < 0 && t->err.code == ERROR_FAILED_PRECONDITION, "%s", t->err.msg);
	CHECK_EQ(pause_it(t), 0, "%s", t->err.msg);
	CHECK(oci_start(t, "c1") < 0 && strstr(t->err.msg, "is paused"), "%s", t->err.msg);
	CHECK_EQ(resume_it(t), 0, "%s", t->err.msg);
	CHECK_OK(oci_start(t, "c1"), &t->err);
	if (!CHECK_OK(oci_read_line(t, "c1", "", "up"), &t->err))
		return;
	if (!CHECK_EQ(pause_it(t), 0, "%s", t->err.msg))
		return;
	CHECK(oci_guest(t, out, sizeof(out),
			"grep frozen $R/sys/fs/cgroup/pods/c1/cgroup.events") == 0 &&
		      strcmp(out, "frozen 1\n") == 0,
	      "%s", out);
	first = oci_file_text(t, "/n");
	CHECK(pause_it(t) < 0 && t->err.code == ERROR_FAILED_PRECONDITION, "%s", t->err.msg);
	CHECK(oci_exec(t, "c1", "x1", oci_process(t, IN_SH("true"))) < 0 &&
		      strstr(t->err.msg, "is paused"),
	      "%s", t->err.msg);
	/* signals stay pending */
	CHECK_OK(oci_kill(t, "c1", "", SIGTERM), &t->err);
	stats_free(stats_of(t, "c1"));
	second = oci_file_text(t, "/n");
	CHECK_STR(first, second, "it ran: %s, then %s", first, second);
	CHECK_EQ(resume_it(t), 0, "%s", t->err.msg);
	CHECK_OK(oci_read_line(t, "c1", "", "term"), &t->err);
	SEES(t, "x\n", "echo x");
}

/* SIGKILL and removal need no Resume. */
static void
paused_dies(struct oci *t)
{
	if (oci_needs_vm(t))
		return;
	if (!CHECK_EQ(launch_idle(t, idle(t)), 0, "%s", t->err.msg))
		return;
	CHECK_EQ(pause_it(t), 0, "%s", t->err.msg);
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	CHECK_EQ(oci_wait(t, "c1", ""), 128 + SIGKILL, "%s", t->err.msg);
	CHECK(pause_it(t) < 0 && t->err.code == ERROR_FAILED_PRECONDITION, "%s", t->err.msg);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	if (!CHECK_EQ(launch_idle(t, idle(t)), 0, "%s", t->err.msg))
		return;
	CHECK_EQ(pause_it(t), 0, "%s", t->err.msg);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
}

static uint64_t
memory_stat(const Grpc__StatsContainerResponse *s, const char *key)
{
	const Grpc__MemoryStats *m = s->cgroup_stats->memory_stats;

	for (size_t i = 0; i < m->n_stats; i++) {
		if (strcmp(m->stats[i]->key, key) == 0)
			return m->stats[i]->value;
	}
	return UINT64_MAX;
}

static uint64_t
io_bytes(const Grpc__StatsContainerResponse *s, const char *op)
{
	const Grpc__BlkioStats *b = s->cgroup_stats->blkio_stats;
	uint64_t sum = 0;

	for (size_t i = 0; i < b->n_io_service_bytes_recursive; i++) {
		if (strcmp(b->io_service_bytes_recursive[i]->op, op) == 0)
			sum += b->io_service_bytes_recursive[i]->value;
	}
	return sum;
}

/* The values that containerd and the kubelet compute are correct and equal on hosts with cgroup
 * v1 and v2. */
static void
check_memory_formulas(const Grpc__StatsContainerResponse *s)
{
	static const char *const pairs[][2] = {
		{ "total_inactive_file", "inactive_file" },
		{ "total_rss", "anon" },
		{ "rss", "anon" },
		{ "total_cache", "file" },
		{ "cache", "file" },
		{ "total_mapped_file", "file_mapped" },
		{ "mapped_file", "file_mapped" },
		{ "total_swap", "swap" },
	};
	uint64_t usage = s->cgroup_stats->memory_stats->usage->usage;

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		CHECK(memory_stat(s, pairs[i][0]) != UINT64_MAX &&
			      memory_stat(s, pairs[i][0]) == memory_stat(s, pairs[i][1]),
		      "%s %lu, %s %lu", pairs[i][0], memory_stat(s, pairs[i][0]), pairs[i][1],
		      memory_stat(s, pairs[i][1]));
	/* 2 MiB of a disk that stays open were read once: page cache that is not part of the
	 * working set. */
	CHECK_GE(memory_stat(s, "total_inactive_file"), 1 << 20, "inactive %lu",
		 memory_stat(s, "total_inactive_file"));
	CHECK_GE(usage - memory_stat(s, "total_inactive_file"), memory_stat(s, "total_rss"),
		 "working set of %lu below RSS %lu", usage - memory_stat(s, "total_inactive_file"),
		 memory_stat(s, "total_rss"));
}

static void
check_stats(const Grpc__StatsContainerResponse *s)
{
	const Grpc__CgroupStats *g = s->cgroup_stats;
	const Grpc__CpuUsage *cpu = g->cpu_stats->cpu_usage;
	const Grpc__MemoryStats *m = g->memory_stats;
	const Grpc__HugetlbStats *h = NULL;

	CHECK_GT(cpu->total_usage, 1000000, "%lu", cpu->total_usage);
	CHECK_LE(cpu->usage_in_usermode + cpu->usage_in_kernelmode, cpu->total_usage + 1000,
		 "%lu %lu", cpu->usage_in_usermode, cpu->usage_in_kernelmode);
	CHECK_GT(g->cpu_stats->throttling_data->periods, 0, "no periods");
	CHECK_GT(g->cpu_stats->throttling_data->throttled_periods, 0, "never throttled");
	CHECK_GT(g->cpu_stats->throttling_data->throttled_time, 1000000, "throttled");
	CHECK_EQ(m->usage->limit, 64 << 20, "%lu", m->usage->limit);
	CHECK(m->usage->usage > 4096 && m->usage->usage <= 64 << 20, "%lu", m->usage->usage);
	CHECK_GE(m->usage->max_usage, m->usage->usage, "%lu", m->usage->max_usage);
	CHECK_EQ(m->swap_usage->limit, 32 << 20, "%lu", m->swap_usage->limit);
	CHECK(m->kernel_usage->limit == UINT64_MAX && m->kernel_usage->usage > 0, "kernel");
	CHECK(m->cache > 0 && m->cache == memory_stat(s, "file"), "%lu", m->cache);
	CHECK(memory_stat(s, "anon") < 64 << 20 && memory_stat(s, "slab") < 64 << 20, "map");
	CHECK_NE(memory_stat(s, "pressure_some_total_usec"), UINT64_MAX, "no PSI");
	CHECK(g->pids_stats->current == 2 && g->pids_stats->limit == 50, "%lu %lu",
	      g->pids_stats->current, g->pids_stats->limit);
	CHECK(io_bytes(s, "read") >= 1 << 20 && io_bytes(s, "rios") > 0, "read %lu",
	      io_bytes(s, "read"));
	for (size_t i = 0; i < g->n_hugetlb_stats; i++) {
		if (strcmp(g->hugetlb_stats[i]->key, "2MB") == 0)
			h = g->hugetlb_stats[i]->value;
	}
	CHECK(h && h->usage == 0 && h->failcnt == 0, "huge pages");
}

static void
stats(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(
		t, "exec 3</dev/disk; dd of=/dev/null bs=64k count=32 <&3 2>/dev/null;"
		   "echo data >/dev/shm/f; i=0; while test $i -lt 10000; do i=$((i+1)); done;"
		   "sleep 3600 & echo up; read x");
	Grpc__StatsContainerResponse *s;
	Grpc__LinuxDevice *d;

	if (oci_needs_vm(t))
		return;
	d = OCI_ADD(t, spec->linux->devices, spec->linux->n_devices, grpc__linux_device__init);
	d->path = "/dev/disk";
	d->type = "b";
	if (!CHECK(find_disk(t, &d->major, &d->minor), "no disk: %s", t->err.msg))
		return;
	oci_memory(t, spec)->limit = 64 << 20;
	oci_memory(t, spec)->swap = 96 << 20;
	/* of 100000: throttled on any machine */
	oci_cpu(t, spec)->quota = 20000;
	oci_pids(t, spec, 50);
	oci_namespace(t, spec, "network", "");
	CHECK(!stats_of(t, "c1") && t->err.code == ERROR_INVALID_ARGUMENT, "%s", t->err.msg);
	if (!CHECK_EQ(launch_idle(t, spec), 0, "%s", t->err.msg))
		return;
	s = stats_of(t, "c1");
	if (!CHECK(s, "%s", t->err.msg))
		return;
	check_stats(s);
	check_memory_formulas(s);
	/* a network namespace of its own, with loopback only */
	CHECK_EQ(s->n_network_stats, 0, "%zu interfaces", s->n_network_stats);
	stats_free(s);
}

/* Stats are requested while the container is removed. */
static void
stats_in_teardown(struct oci *t)
{
	unsigned int n = t->h.soak ? 200 : 10;

	for (unsigned int i = 0; i < n; i++) {
		Grpc__StatsContainerResponse *s;

		if (!CHECK_EQ(launch_idle(t, idle(t)), 0, "%s", t->err.msg))
			return;
		CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
		s = stats_of(t, "c1");
		CHECK(s && s->cgroup_stats, "%s", t->err.msg);
		stats_free(s);
		CHECK_OK(oci_remove(t, "c1"), &t->err);
	}
}

/* Reads events until n of the container have arrived; the queue may hold others of earlier
 * containers. */
static unsigned int
take_events(struct oci *t, const char *id, unsigned int n)
{
	Grpc__GetOOMEventRequest q = GRPC__GET_OOMEVENT_REQUEST__INIT;
	unsigned int seen = 0;

	while (seen < n) {
		ProtobufCMessage *reply = NULL;

		if (oci_call(t, "GetOOMEvent", &q, &reply) < 0)
			break;
		seen += strcmp(((Grpc__OOMEvent *)(void *)reply)->container_id, id) == 0;
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	return seen;
}

/* Every kill is reported exactly once, whether or not a call was waiting for it, and after the
 * container's end. */
static void
oom_events(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "echo up; read x; i=0; while test $i -lt 5; do i=$((i+1)); "
				     "oci-probe hog; done; echo done; read x");
	char out[64];

	if (oci_needs_vm(t))
		return;
	oci_memory(t, spec)->limit = 24 << 20;
	oci_memory(t, spec)->swap = 24 << 20;
	if (!CHECK_OK(oci_launch(t, "oom-1", spec), &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "oom-1", "", "up"), &t->err))
		return;
	if (!CHECK_OK(write_stdin(&t->h, "oom-1", "", "\n", 1, &t->err), &t->err))
		return;
	CHECK_EQ(take_events(t, "oom-1", 2), 2, "%s", t->err.msg);
	if (!CHECK_OK(oci_read_line(t, "oom-1", "", "done"), &t->err))
		return;
	CHECK(oci_guest(t, out, sizeof(out),
			"grep '^oom_kill ' $R/sys/fs/cgroup/pods/oom-1/memory.events") == 0 &&
		      strcmp(out, "oom_kill 5\n") == 0,
	      "%s", out);
	CHECK_OK(oci_remove(t, "oom-1"), &t->err);
	CHECK_EQ(take_events(t, "oom-1", 3), 3, "after the removal: %s", t->err.msg);
}

const struct oci_case oci_resources_cases[] = {
	{ "update", "an update changes only the given fields", updates },
	{ "update", "a refused update changes nothing", updates_refused },
	{ "update.devices", "device rules are replaced atomically", device_updates },
	{ "state", "pause and resume", pauses },
	{ "state", "a paused container can be killed", paused_dies },
	{ "stats", "statistics", stats },
	{ "attack", "statistics during the removal", stats_in_teardown },
	{ "oom", "every OOM kill is reported once", oom_events },
};
const size_t n_oci_resources_cases = ARRAY_LEN(oci_resources_cases);
