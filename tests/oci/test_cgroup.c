/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a container's cgroup as seen by the container, and its device rules. See oci.h;
 * test_resources.c has the calls that change or read them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oci/oci.h"

#define CG "/sys/fs/cgroup/"

static void
pids_limit(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cat " CG "pids.max");

	if (oci_needs_vm(t))
		return;
	oci_pids(t, spec, 42);
	OCI_PRINTS(t, spec, "42\n");
	oci_pids(t, spec, -1);
	OCI_PRINTS(t, spec, "max\n");
	/* Other containers keep a share of the pids. */
	spec = oci_sh(t, "test $(cat " CG "pids.max) -gt 100 && echo a number");
	OCI_PRINTS(t, spec, "a number\n");
}

/* The number of memory cgroups in the kernel is limited, so each container may create only some. */
static void
cgroups_below(struct oci *t)
{
	char out[64];

	if (oci_needs_vm(t))
		return;
	if (!CHECK_OK(oci_launch(t, "c1", oci_sh(t, "read x")), &t->err))
		return;
	CHECK(oci_guest(t, out, sizeof(out),
			"cat $R/sys/fs/cgroup/pods/c1/cgroup.max.descendants") == 0 &&
		      strcmp(out, "4096\n") == 0,
	      "%s", out);
}

static void
memory_limits(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cd " CG "; cat memory.max memory.low memory.swap.max");
	Grpc__LinuxMemory *m = oci_memory(t, spec);

	if (oci_needs_vm(t))
		return;
	m->limit = 96 << 20;
	m->reservation = 48 << 20;
	m->swap = 160 << 20;
	OCI_PRINTS(t, spec, "100663296\n50331648\n67108864\n");
	/* Unlimited values must be set explicitly. */
	m->limit = -1;
	m->reservation = -1;
	m->swap = -1;
	OCI_PRINTS(t, spec, "max\nmax\nmax\n");
	m->limit = 96 << 20;
	m->swap = 64 << 20;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.resources.memory.swap");
}

static void
cpu_limits(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cd " CG "; cat cpu.weight cpu.max cpuset.cpus cpuset.mems;"
				     " grep Cpus_allowed_list /proc/self/status | cut -f2");
	Grpc__LinuxCPU *c = oci_cpu(t, spec);

	if (oci_needs_vm(t))
		return;
	c->shares = 2048;
	c->quota = 50000;
	c->period = 200000;
	c->cpus = "1";
	c->mems = "0";
	OCI_PRINTS(t, spec, "174\n50000 200000\n1\n0\n1\n");
	c->quota = -1;
	c->period = 0;
	OCI_SAYS(t, spec, "max 100000\n");
	c->cpus = "0-4294967295";
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.resources.cpu.cpus");
	c->cpus = "7000";
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.resources.cpu.cpus");
}

static void
hugepage_limits(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cd " CG "; cat hugetlb.2MB.max hugetlb.2MB.rsvd.max");
	Grpc__LinuxResources *r = oci_resources(t, spec);
	Grpc__LinuxHugepageLimit *h = OCI_ADD(t, r->hugepagelimits, r->n_hugepagelimits,
					      grpc__linux_hugepage_limit__init);

	if (oci_needs_vm(t))
		return;
	h->pagesize = "2MB";
	h->limit = 6 << 20;
	OCI_PRINTS(t, spec, "6291456\n6291456\n");
	h->pagesize = "2MB/../x";
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.resources.hugepageLimits");
}

/* Finds the numbers of a guest disk with a non-zero minor. */
static bool
find_disk(struct oci *t, int64_t *major, int64_t *minor)
{
	char out[64], *colon;

	if (oci_guest(t, out, sizeof(out), "cat $R/sys/block/vdb/dev") < 0)
		return false;
	colon = strchr(out, ':');
	if (!colon)
		return false;
	*major = strtol(out, NULL, 10);
	*minor = strtol(colon + 1, NULL, 10);
	return *minor > 0;
}

static void
io_weights(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cat " CG "io.weight");
	Grpc__LinuxBlockIO *b =
		OCI_MSG(t, oci_resources(t, spec)->blockio, grpc__linux_block_io__init);
	Grpc__LinuxWeightDevice *d;

	if (oci_needs_vm(t))
		return;
	b->weight = 500;
	d = OCI_ADD(t, b->weightdevice, b->n_weightdevice, grpc__linux_weight_device__init);
	if (!CHECK(find_disk(t, &d->major, &d->minor), "no disk: %s", t->err.msg))
		return;
	d->weight = 200;
	OCI_PRINTS(t, spec, oci_str(t, "default 4950\n%d:%d 1920\n", (int)d->major, (int)d->minor));
	b->weight = 1001;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.resources.blockIO.weight");
}

static Grpc__LinuxThrottleDevice *
throttle(struct oci *t, Grpc__LinuxThrottleDevice ***list, size_t *n, uint64_t rate)
{
	Grpc__LinuxThrottleDevice *d = OCI_ADD(t, *list, *n, grpc__linux_throttle_device__init);

	CHECK(find_disk(t, &d->major, &d->minor), "no disk: %s", t->err.msg);
	d->rate = rate;
	return d;
}

static void
io_throttles(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cat " CG "io.max");
	Grpc__LinuxBlockIO *b =
		OCI_MSG(t, oci_resources(t, spec)->blockio, grpc__linux_block_io__init);
	Grpc__LinuxThrottleDevice *d;

	if (oci_needs_vm(t))
		return;
	d = throttle(t, &b->throttlereadbpsdevice, &b->n_throttlereadbpsdevice, 1 << 20);
	(void)throttle(t, &b->throttlewritebpsdevice, &b->n_throttlewritebpsdevice, 2 << 20);
	(void)throttle(t, &b->throttlereadiopsdevice, &b->n_throttlereadiopsdevice, 300);
	(void)throttle(t, &b->throttlewriteiopsdevice, &b->n_throttlewriteiopsdevice, 400);
	OCI_PRINTS(t, spec,
		   oci_str(t, "%d:%d rbps=1048576 wbps=2097152 riops=300 wiops=400\n",
			   (int)d->major, (int)d->minor));
	d->minor = 4000;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "throttleReadBpsDevice");
}

/* Memory fields without an equivalent in cgroup v2. */
static void
v1_memory(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");
	Grpc__LinuxMemory *m = oci_memory(t, spec);

	m->kernel = 1 << 20;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "memory.kernel:");
	m->kernel = -1;
	m->kerneltcp = 1 << 20;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "memory.kernelTCP:");
	m->kerneltcp = -1;
	m->swappiness = 30;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "memory.swappiness:");
	m->swappiness = 0;
	m->disableoomkiller = true;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "memory.disableOOMKiller:");
	m->disableoomkiller = false;
	OCI_PRINTS(t, spec, "");
}

static void
v1_cpu(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");
	Grpc__LinuxCPU *c = oci_cpu(t, spec);

	c->realtimeruntime = 1000;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "cpu.realtimeRuntime:");
	c->realtimeruntime = 0;
	c->realtimeperiod = 1000;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "cpu.realtimePeriod:");
}

static void
v1_io(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");
	Grpc__LinuxBlockIO *b =
		OCI_MSG(t, oci_resources(t, spec)->blockio, grpc__linux_block_io__init);
	Grpc__LinuxWeightDevice *d;

	b->leafweight = 100;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "blockIO.weight: leafWeight");
	b->leafweight = 0;
	d = OCI_ADD(t, b->weightdevice, b->n_weightdevice, grpc__linux_weight_device__init);
	d->leafweight = 100;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "blockIO.weightDevice: leafWeight");
}

static void
v1_network(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");
	Grpc__LinuxNetwork *n =
		OCI_MSG(t, oci_resources(t, spec)->network, grpc__linux_network__init);
	Grpc__LinuxInterfacePriority *p;

	n->classid = 0x100001;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.resources.network.classID:");
	n->classid = 0;
	p = OCI_ADD(t, n->priorities, n->n_priorities, grpc__linux_interface_priority__init);
	p->name = "eth7";
	p->priority = 5;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "network.priorities: eth7 5:");
}

static void
device_rule(struct oci *t, Grpc__Spec *spec, bool allow, const char *type, int64_t major,
	    int64_t minor, const char *access)
{
	Grpc__LinuxResources *r = oci_resources(t, spec);
	Grpc__LinuxDeviceCgroup *d =
		OCI_ADD(t, r->devices, r->n_devices, grpc__linux_device_cgroup__init);

	d->allow = allow;
	d->type = oci_str(t, "%s", type);
	d->major = major;
	d->minor = minor;
	d->access = oci_str(t, "%s", access);
}

/* Creates a node for each "type:major:minor", opens it for reading and prints the kernel's
 * error. */
#define TRY                                                       \
	"try() { rm -f /dev/x; mknod /dev/x $1 $2 $3 || return; " \
	"if (: </dev/x) 2>/tmp/e; then echo open; else sed 's/.*: //' /tmp/e; fi; }; "

static void
device_rules(struct oci *t)
{
	int64_t major = 0, minor = 0;
	Grpc__Spec *spec;

	if (oci_needs_vm(t))
		return;
	if (!CHECK(find_disk(t, &major, &minor), "no disk: %s", t->err.msg))
		return;
	spec = oci_sh(t,
		      TRY "try c 10 229; try b 10 229; try c 1 3; try b %d 0; try b %d %d;"
			  " (: >/dev/x) 2>&1 | sed 's/.*: //'",
		      (int)major, (int)major, (int)minor);
	device_rule(t, spec, false, "", 0, 0, "rwm");
	device_rule(t, spec, true, "c", 10, 229, "r");
	device_rule(t, spec, true, "b", major, minor, "r");
	OCI_PRINTS(t, spec,
		   "open\nOperation not permitted\nopen\nOperation not permitted\nopen\n"
		   "Operation not permitted\n");
	/* The last matching rule wins; -1 matches any number. */
	device_rule(t, spec, false, "c", -1, -1, "r");
	device_rule(t, spec, true, "b", major, -1, "r");
	OCI_PRINTS(t, spec,
		   "Operation not permitted\nOperation not permitted\nopen\nopen\nopen\n"
		   "Operation not permitted\n");
}

/* A rule for all devices does not give a container disks that it was not given by number. */
static void
device_rule_for_all(struct oci *t)
{
	int64_t major = 0, minor = 0;
	Grpc__Spec *spec;

	if (oci_needs_vm(t))
		return;
	if (!CHECK(find_disk(t, &major, &minor), "no disk: %s", t->err.msg))
		return;
	spec = oci_sh(t,
		      TRY "try c 10 229; cd /sys/dev/block; for d in *; do try b ${d%%%%:*} "
			  "${d##*:}; done | sort | uniq -c | sed 's/^ *[0-9]* //'; try b %d %d",
		      (int)major, (int)minor);
	device_rule(t, spec, true, "a", -1, -1, "rwm");
	OCI_PRINTS(t, spec, "open\nOperation not permitted\nOperation not permitted\n");
	device_rule(t, spec, true, "b", major, minor, "rwm");
	OCI_SAYS(t, spec, "open\nOperation not permitted\nopen\nopen\n");
}

/* Without rules, as sent by Kata runtimes: the spec's devices and the default ones are allowed. */
static void
no_device_rules(struct oci *t)
{
	int64_t major = 0, minor = 0;
	Grpc__LinuxDevice *d;
	Grpc__Spec *spec;

	if (oci_needs_vm(t))
		return;
	if (!CHECK(find_disk(t, &major, &minor), "no disk: %s", t->err.msg))
		return;
	spec = oci_sh(t,
		      TRY "try b %d 0; try b %d %d; try c 10 229; try c 1 9; echo hi >/dev/null; "
			  ": <>/dev/ptmx; : </dev/disk && echo disk",
		      (int)major, (int)major, (int)minor);
	d = OCI_ADD(t, spec->linux->devices, spec->linux->n_devices, grpc__linux_device__init);
	d->path = "/dev/disk";
	d->type = "b";
	d->major = major;
	d->minor = minor;
	d->filemode = 0600;
	OCI_PRINTS(t, spec, "Operation not permitted\nopen\nOperation not permitted\nopen\ndisk\n");
}

static void
device_rules_refused(struct oci *t)
{
	static const struct {
		const char *type, *access;
		int64_t major;
	} bad[] = { { "x", "r", 1 }, { "c", "", 1 }, { "c", "rwx", 1 }, { "c", "r", 5000 } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		Grpc__Spec *spec = oci_sh(t, "true");

		device_rule(t, spec, true, bad[i].type, bad[i].major, 3, bad[i].access);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.resources.devices:");
	}
}

static void
lies_in(struct oci *t, Grpc__Spec *spec, const char *path)
{
	char out[64];

	if (!CHECK_OK(oci_launch(t, "c1", spec), &t->err))
		return;
	CHECK(oci_guest(t, out, sizeof(out), "grep -c . $R/sys/fs/cgroup%s/cgroup.procs", path) ==
			      0 &&
		      strncmp(out, "1", 1) == 0,
	      "%s: %s %s", path, out, t->err.msg);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
}

static void
cgroups_path(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "read x");
	char *deep = oci_zalloc(t, 8192, 1);

	if (oci_needs_vm(t))
		return;
	spec->linux->cgroupspath = "/kubepods/pod1:cri:c7";
	lies_in(t, spec, "/pods/kubepods/pod1/cri/c7");
	spec->linux->cgroupspath = "";
	lies_in(t, spec, "/pods/c1");
	spec->linux->cgroupspath = "/a/../../agent";
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.cgroupsPath");
	spec->linux->cgroupspath = "cgroup.procs";
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.cgroupsPath");
	memset(deep, 'a', 4096);
	spec->linux->cgroupspath = deep;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.cgroupsPath");
	for (size_t i = 1; i < 4096; i += 2)
		deep[i] = '/';
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.cgroupsPath");
}

/* Cgroup files set by name, for which the message has no fields. */
static void
unified(struct oci *t)
{
	static const char *const bad[] = { "cgroup.procs",       "cgroup.freeze",
					   "../memory.max",      "memory/max",
					   "memory.reclaim",     "",
					   "memory.max/x",       "cgroup.subtree_control",
					   "hugetlb.2MB.current" };
	Grpc__Spec *spec = oci_sh(t, "cd " CG "; cat memory.high cpu.max cpu.max.burst cpu.idle "
				     "memory.oom.group hugetlb.2MB.max");

	if (oci_needs_vm(t))
		return;
	oci_annotation(t, spec, "tatami.cgroup.memory.high", "50331648");
	oci_annotation(t, spec, "tatami.cgroup.cpu.max.burst", "20000");
	oci_annotation(t, spec, "tatami.cgroup.cpu.max", "30000 100000");
	oci_annotation(t, spec, "tatami.cgroup.cpu.idle", "1");
	oci_annotation(t, spec, "tatami.cgroup.memory.oom.group", "1");
	oci_annotation(t, spec, "tatami.cgroup.hugetlb.2MB.max", "2097152");
	oci_annotation(t, spec, "tatami.other", "no matter");
	OCI_PRINTS(t, spec, "50331648\n30000 100000\n20000\n1\n1\n2097152\n");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		spec = oci_sh(t, "true");
		oci_annotation(t, spec, oci_str(t, "tatami.cgroup.%s", bad[i]), "1");
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "annotations");
	}
	spec = oci_sh(t, "true");
	oci_annotation(t, spec, "tatami.cgroup.memory.max", "lots");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "memory.max");
	spec = oci_sh(t, "true");
	oci_annotation(t, spec, "tatami.cgroup.rdma.max", "mlx4_0 hca_handle=2");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "rdma.max");
}

/* A container reaches only its own cgroup, and cannot write to it unless it is allowed to. */
static void
escape(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "cd " CG "; ls -d ../agent 2>&1 | sed 's/.*: //';"
			  "(echo 1 >cgroup.procs) 2>&1 | sed 's/.*: //';"
			  "(echo max >memory.max) 2>&1 | sed 's/.*: //';"
			  "mount -o remount,rw " CG
			  " 2>&1 | sed 's/.*: //'; mkdir x 2>&1 | sed 's/.*: //';"
			  "cat /proc/self/cgroup | tail -1; find / -xdev -name release_agent");

	if (oci_needs_vm(t))
		return;
	OCI_PRINTS(t, spec,
		   "No such file or directory\nRead-only file system\nRead-only file system\n"
		   "permission denied (are you root?)\nRead-only file system\n0::/\n");
}

/* With a writable cgroup mount, the container's user can create child cgroups but change none of
 * its own limits. */
static void
delegation(struct oci *t)
{
	static const char script[] =
		"cd " CG "; stat -c %%u . cgroup.procs cgroup.subtree_control cgroup.freeze;"
		"mkdir sub && echo $$ >sub/cgroup.procs && tail -n 1 /proc/self/cgroup";
	Grpc__Spec *spec = oci_sh(t, script);

	oci_userns(t, spec, 200000, 65536);
	oci_mount_drop(spec, "/sys/fs/cgroup");
	oci_mount(t, spec, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,rw");
	OCI_PRINTS(t, spec, "0\n0\n0\n65534\n0::/sub\n");
	spec = oci_sh(t, "stat -c %%u " CG " " CG "cgroup.procs");
	oci_userns(t, spec, 200000, 65536);
	/* A read-only mount leaves the owner unchanged. */
	OCI_PRINTS(t, spec, "65534\n65534\n");
}

const struct oci_case oci_cgroup_cases[] = {
	{ "linux.resources.pids.limit", "pids limit", pids_limit },
	{ "quota", "a limit on child cgroups", cgroups_below },
	{ "linux.resources.memory", "memory limits", memory_limits },
	{ "linux.resources.cpu", "cpu limits", cpu_limits },
	{ "linux.resources.hugepagelimits", "huge page limits", hugepage_limits },
	{ "linux.resources.blockio.weight", "io weights", io_weights },
	{ "linux.resources.blockio", "io throttles", io_throttles },
	{ "linux.resources.memory.kernel", "memory fields of cgroup v1", v1_memory },
	{ "linux.resources.cpu.realtimeruntime", "cpu fields of cgroup v1", v1_cpu },
	{ "linux.resources.blockio.leafweight", "io fields of cgroup v1", v1_io },
	{ "linux.resources.network", "network fields of cgroup v1", v1_network },
	{ "linux.resources.devices", "device rules", device_rules },
	{ "linux.resources.devices", "a device rule for everything", device_rule_for_all },
	{ "linux.devices", "devices without rules", no_device_rules },
	{ "linux.resources.devices", "invalid device rules", device_rules_refused },
	{ "linux.cgroupspath", "cgroups path", cgroups_path },
	{ "annotations", "unified cgroup files", unified },
	{ "linux.namespaces", "cgroup delegation", delegation },
	{ "attack", "cgroup escape", escape },
};
const size_t n_oci_cgroup_cases = ARRAY_LEN(oci_cgroup_cases);
