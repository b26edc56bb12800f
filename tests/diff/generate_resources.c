/* SPDX-License-Identifier: Apache-2.0 */
/* Generates cgroup resources, kernel parameters and seccomp profiles. */
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "tests/bench/profile.h"
#include "tests/diff/generate.h"

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define MIB       (1ll << 20)

static void
device_rule(struct gen *g, bool allow, const char *type, int64_t major, int64_t minor,
	    const char *access)
{
	Grpc__LinuxResources *r = g->spec->linux->resources;
	Grpc__LinuxDeviceCgroup *d = make(g, 1, sizeof(*d));

	grpc__linux_device_cgroup__init(d);
	d->allow = allow;
	d->type = (char *)(uintptr_t)type;
	d->major = major;
	d->minor = minor;
	d->access = (char *)(uintptr_t)access;
	push(g, &r->devices, &r->n_devices, d);
}

static void
device_rules(struct gen *g)
{
	/* Unset, as runtimes send it. */
	if (chance(g, 10))
		return;
	device_rule(g, chance(g, 10), "a", -1, -1, "rwm");
	if (chance(g, 30))
		device_rule(g, true, "c", 1, -1, pick(g, LIST("rwm", "r", "rm", "rw")));
	if (chance(g, 30))
		device_rule(g, true, "c", 10, 229, pick(g, LIST("rwm", "m", "r")));
	if (chance(g, 20))
		device_rule(g, true, "b", -1, -1, "m");
	if (chance(g, 20))
		device_rule(g, false, "c", 1, 11, "rwm");
	if (chance(g, 10))
		device_rule(g, true, "c", 10, 200, "w");
}

static void
memory(struct gen *g, Grpc__LinuxResources *r)
{
	static const int64_t limits[] = { 64 * MIB, 128 * MIB + 4096, -1, 0 };
	Grpc__LinuxMemory *m = make(g, 1, sizeof(*m));

	grpc__linux_memory__init(m);
	m->limit = limits[roll(g, ARRAY_LEN(limits))];
	if (chance(g, 30))
		m->reservation = chance(g, 80) ? 32 * MIB : -1;
	if (chance(g, 40) && m->limit > 0)
		m->swap = chance(g, 30) ? -1 : m->limit + (chance(g, 50) ? 16 * MIB : 0);
	r->memory = m;
}

static void
cpu(struct gen *g, Grpc__LinuxResources *r)
{
	static const uint64_t shares[] = { 0, 2, 10, 512, 1024, 262144 };
	static const int64_t quotas[] = { 0, -1, 50000, 150000 };
	Grpc__LinuxCPU *c = make(g, 1, sizeof(*c));

	grpc__linux_cpu__init(c);
	c->shares = shares[roll(g, ARRAY_LEN(shares))];
	c->quota = quotas[roll(g, ARRAY_LEN(quotas))];
	if (chance(g, 50))
		c->period = chance(g, 50) ? 100000 : 50000;
	if (chance(g, 30))
		c->cpus = (char *)(uintptr_t)pick(g, LIST("0", "0-1", "1"));
	if (chance(g, 20))
		c->mems = (char *)(uintptr_t) "0";
	r->cpu = c;
}

static void
more_limits(struct gen *g, Grpc__LinuxResources *r)
{
	static const int64_t pids[] = { -1, 32, 1000 };
	static const uint32_t weights[] = { 10, 100, 500, 1000 };

	if (chance(g, 50)) {
		r->pids = make(g, 1, sizeof(*r->pids));
		grpc__linux_pids__init(r->pids);
		r->pids->limit = pids[roll(g, ARRAY_LEN(pids))];
	}
	if (chance(g, 20)) {
		Grpc__LinuxHugepageLimit *h = make(g, 1, sizeof(*h));

		grpc__linux_hugepage_limit__init(h);
		h->pagesize = (char *)(uintptr_t) "2MB";
		h->limit = (uint64_t)roll(g, 3) * 2 * MIB;
		push(g, &r->hugepagelimits, &r->n_hugepagelimits, h);
	}
	if (chance(g, 15)) {
		r->blockio = make(g, 1, sizeof(*r->blockio));
		grpc__linux_block_io__init(r->blockio);
		r->blockio->weight = weights[roll(g, ARRAY_LEN(weights))];
	}
}

static void
sysctls(struct gen *g)
{
	static const struct {
		const char *ns, *key, *path, *value;
	} list[] = {
		{ "network", "net.ipv4.ip_forward", "net/ipv4/ip_forward", "1" },
		{ "network", "net.ipv4.ip_unprivileged_port_start",
		  "net/ipv4/ip_unprivileged_port_start", "80" },
		{ "network", "net.ipv4.ping_group_range", "net/ipv4/ping_group_range", "0 1000" },
		{ "network", "net.core.somaxconn", "net/core/somaxconn", "256" },
		{ "ipc", "kernel.shmmax", "kernel/shmmax", "1234567" },
		{ "ipc", "kernel.msgmax", "kernel/msgmax", "65536" },
		{ "ipc", "kernel.sem", "kernel/sem", "250 32000 100 200" },
		{ "ipc", "kernel.shm_rmid_forced", "kernel/shm_rmid_forced", "1" },
		{ "ipc", "fs.mqueue.msg_max", "fs/mqueue/msg_max", "20" },
		{ "uts", "kernel.domainname", "kernel/domainname", "example.org" },
	};
	Grpc__Linux *l = g->spec->linux;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		Grpc__Linux__SysctlEntry *e;

		if (!has_namespace(g, list[i].ns) || !chance(g, 10))
			continue;
		e = make(g, 1, sizeof(*e));
		grpc__linux__sysctl_entry__init(e);
		e->key = (char *)(uintptr_t)list[i].key;
		e->value = (char *)(uintptr_t)list[i].value;
		push(g, &l->sysctl, &l->n_sysctl, e);
		ask(g, "read=/proc/sys/", list[i].path);
	}
}

static void
filter_rule(struct gen *g, Grpc__LinuxSeccomp *s)
{
	static const uint32_t numbers[] = { 1, 2, 38, 95, 0 };
	Grpc__LinuxSyscall *c = make(g, 1, sizeof(*c));
	const char *name = pick(g, LIST("keyctl", "personality", "socket", "setpriority", "times",
					"sched_yield", "acct", "chroot", "unshare", "getcpu"));

	grpc__linux_syscall__init(c);
	push(g, &c->names, &c->n_names, name);
	if (chance(g, 30))
		push(g, &c->names, &c->n_names, pick(g, LIST("swapon", "no_such_call", "syslog")));
	c->action = (char *)(uintptr_t)pick(g, LIST("SCMP_ACT_ERRNO", "SCMP_ACT_ERRNO",
						    "SCMP_ACT_ERRNO", "SCMP_ACT_LOG",
						    "SCMP_ACT_ALLOW"));
	if (strcmp(c->action, "SCMP_ACT_ERRNO") == 0 && chance(g, 70)) {
		c->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
		c->errnoret = numbers[roll(g, ARRAY_LEN(numbers))];
	}
	if (chance(g, 40)) {
		Grpc__LinuxSeccompArg *arg = make(g, 1, sizeof(*arg));

		grpc__linux_seccomp_arg__init(arg);
		arg->index = 0;
		arg->value = chance(g, 50) ? 40 : 7;
		arg->valuetwo = chance(g, 50) ? arg->value : 7;
		arg->op = (char *)(uintptr_t)pick(
			g, LIST("SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",
				"SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"));
		push(g, &c->args, &c->n_args, arg);
	}
	push(g, &s->syscalls, &s->n_syscalls, c);
}

static void
seccomp(struct gen *g)
{
	Grpc__LinuxSeccomp *s;

	if (chance(g, 65))
		return;
	/* crun needs a second for this profile in a slow guest. */
	if (chance(g, 15)) {
		g->spec->linux->seccomp = profile_default(g->a);
		return;
	}
	s = make(g, 1, sizeof(*s));
	grpc__linux_seccomp__init(s);
	s->defaultaction = (char *)(uintptr_t) "SCMP_ACT_ALLOW";
	if (chance(g, 60))
		push(g, &s->architectures, &s->n_architectures, "SCMP_ARCH_X86_64");
	if (chance(g, 20))
		push(g, &s->flags, &s->n_flags,
		     pick(g, LIST("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
				  "SECCOMP_FILTER_FLAG_TSYNC")));
	do
		filter_rule(g, s);
	while (chance(g, 50));
	g->spec->linux->seccomp = s;
}

void
generate_resources(struct gen *g)
{
	if (chance(g, 70)) {
		Grpc__LinuxResources *r = make(g, 1, sizeof(*r));

		grpc__linux_resources__init(r);
		g->spec->linux->resources = r;
		device_rules(g);
		if (chance(g, 50))
			memory(g, r);
		if (chance(g, 50))
			cpu(g, r);
		more_limits(g, r);
	}
	sysctls(g);
	seccomp(g);
}
