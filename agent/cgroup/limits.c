/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of OCI resources to writes to cgroup v2 files. */
#include "agent/cgroup/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/cgroup/settings.h"
#include "lib/io.h"
#include "lib/parse.h"

/* the kernel's default in cpu.max */
#define CPU_PERIOD_DEFAULT_US 100000
#define SHARES_MIN            2
#define SHARES_MAX            262144

/* The writes being collected. */
struct plan {
	struct cgroup_settings settings;
	int fd, root_fd;
	bool update;
	struct error *err;
};

static int limits_write(int fd, int root_fd, const Grpc__LinuxResources *r, bool update,
			struct error *err);
static int plan_all(struct plan *p, const Grpc__LinuxResources *r);
static int plan_memory(struct plan *p, const Grpc__LinuxMemory *m);
static int plan_cpu(struct plan *p, const Grpc__LinuxCPU *c);
static int plan_hugepages(struct plan *p, const Grpc__LinuxHugepageLimit *h);
static int plan_io(struct plan *p, const Grpc__LinuxBlockIO *b);
static int plan_cpuset(struct plan *p, const Grpc__LinuxCPU *c);
static int plan_number(struct plan *p, const char *field, const char *file, int64_t value);

int
cgroup_limits_apply(int fd, int root_fd, const Grpc__LinuxResources *r, struct error *err)
{
	return limits_write(fd, root_fd, r, false, err);
}

int
cgroup_limits_update(int fd, int root_fd, const Grpc__LinuxResources *r, struct error *err)
{
	return limits_write(fd, root_fd, r, true, err);
}

static int
limits_write(int fd, int root_fd, const Grpc__LinuxResources *r, bool update, struct error *err)
{
	struct plan p = { .fd = fd, .root_fd = root_fd, .update = update, .err = err };
	int result;

	if (!r)
		return 0;
	result = plan_all(&p, r);
	if (result == 0)
		result = settings_apply(&p.settings, fd, update, err);
	settings_release(&p.settings);
	return result;
}

static int
plan_all(struct plan *p, const Grpc__LinuxResources *r)
{
	if (r->memory && plan_memory(p, r->memory) < 0)
		return -1;
	if (r->cpu && plan_cpu(p, r->cpu) < 0)
		return -1;
	if (r->pids && r->pids->limit &&
	    plan_number(p, "linux.resources.pids.limit", "pids.max", r->pids->limit) < 0)
		return -1;
	for (size_t i = 0; i < r->n_hugepagelimits; i++) {
		if (plan_hugepages(p, r->hugepagelimits[i]) < 0)
			return -1;
	}
	if (r->blockio && plan_io(p, r->blockio) < 0)
		return -1;
	/* last, since only these cannot always be restored after a failure */
	return r->cpu ? plan_cpuset(p, r->cpu) : 0;
}

/* Returns the memory limit that the swap limit includes: the new one, or else the current one. */
static int64_t
plan_present_memory(const struct plan *p, const Grpc__LinuxMemory *m)
{
	char text[CGROUP_VALUE_MAX];
	int64_t limit;

	if (m->limit || !p->update)
		return m->limit;
	if (read_text_at(p->fd, "memory.max", text, sizeof(text)) < 0 || !parse_i64(text, &limit))
		return 0;
	return limit;
}

static int
plan_memory(struct plan *p, const Grpc__LinuxMemory *m)
{
	char value[CGROUP_VALUE_MAX];
	int swap = cgroup_swap_max(m->swap, plan_present_memory(p, m), value, p->err);

	/* memory.swap.max may be missing: a kernel without swap needs no limit */
	if (swap < 0 ||
	    (swap && settings_add(&p->settings, SETTING_LOOSENS, "linux.resources.memory.swap",
				  "memory.swap.max", p->err, "%s", value) < 0))
		return -1;
	if (m->limit && plan_number(p, "linux.resources.memory.limit", "memory.max", m->limit) < 0)
		return -1;
	return m->reservation ? plan_number(p, "linux.resources.memory.reservation", "memory.low",
					    m->reservation)
			      : 0;
}

/* Adds writes to cpu.weight and cpu.max. A new period without a quota keeps the current quota. */
static int
plan_cpu(struct plan *p, const Grpc__LinuxCPU *c)
{
	char value[CGROUP_VALUE_MAX], now[CGROUP_VALUE_MAX];
	enum setting_kind kind = c->quota > 0 ? SETTING_LIMITS : SETTING_LOOSENS;

	if (c->shares &&
	    settings_add(&p->settings, SETTING_LIMITS, "linux.resources.cpu.shares", "cpu.weight",
			 p->err, "%" PRIu64, cgroup_cpu_weight(c->shares)) < 0)
		return -1;
	if (!cgroup_cpu_max(c->quota, c->period, value))
		return 0;
	if (p->update && !c->quota && read_text_at(p->fd, "cpu.max", now, sizeof(now)) > 0)
		(void)snprintf(value, sizeof(value), "%.*s %" PRIu64, (int)strcspn(now, " "), now,
			       c->period);
	/* the kernel keeps the current period if none is written */
	if (p->update && !c->period)
		value[strcspn(value, " ")] = '\0';
	return settings_add(&p->settings, kind, "linux.resources.cpu.quota", "cpu.max", p->err,
			    "%s", value);
}

static int
plan_hugepages(struct plan *p, const Grpc__LinuxHugepageLimit *h)
{
	static const char field[] = "linux.resources.hugepageLimits";
	char file[CGROUP_FILE_MAX], value[CGROUP_VALUE_MAX];

	cgroup_number(h->limit > INT64_MAX ? -1 : (int64_t)h->limit, value);
	/* Runtimes send a limit of 0 for each size that the host has; the guest may lack it. */
	(void)snprintf(file, sizeof(file), "hugetlb.%s.max", h->pagesize);
	if (settings_add(&p->settings, h->limit ? SETTING_LIMITS : SETTING_LOOSENS, field, file,
			 p->err, "%s", value) < 0)
		return -1;
	/* reservations; kernels before 5.7 have no such file */
	(void)snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", h->pagesize);
	return settings_add(&p->settings, SETTING_LOOSENS, field, file, p->err, "%s", value);
}

/* Adds a write of a weight: to io.bfq.weight if the BFQ scheduler has it, else to io.weight of the
 * cost model. */
static int
plan_io_weight(struct plan *p, const char *field, const char *whose, uint32_t weight)
{
	char text[CGROUP_VALUE_MAX];

	if (read_text_at(p->fd, "io.bfq.weight", text, sizeof(text)) >= 0)
		return settings_add(&p->settings, SETTING_LIMITS, field, "io.bfq.weight", p->err,
				    "%s %" PRIu32, whose, weight);
	return settings_add(&p->settings, SETTING_LIMITS, field, "io.weight", p->err, "%s %" PRIu64,
			    whose, cgroup_io_weight(weight));
}

static int
plan_throttle(struct plan *p, const char *field, const char *key,
	      Grpc__LinuxThrottleDevice *const *list, size_t n)
{
	char rate[CGROUP_VALUE_MAX];

	for (size_t i = 0; i < n; i++) {
		/* a rate of 0 removes the limit, as in v1 */
		cgroup_number(list[i]->rate && list[i]->rate <= INT64_MAX ? (int64_t)list[i]->rate
									  : -1,
			      rate);
		if (settings_add(&p->settings, SETTING_LIMITS, field, "io.max", p->err,
				 "%" PRId64 ":%" PRId64 " %s=%s", list[i]->major, list[i]->minor,
				 key, rate) < 0)
			return -1;
	}
	return 0;
}

static int
plan_io(struct plan *p, const Grpc__LinuxBlockIO *b)
{
	char whose[CGROUP_VALUE_MAX], enable[CGROUP_VALUE_MAX + 16];

	if (b->weight &&
	    plan_io_weight(p, "linux.resources.blockIO.weight", "default", b->weight) < 0)
		return -1;
	for (size_t i = 0; i < b->n_weightdevice; i++) {
		const Grpc__LinuxWeightDevice *d = b->weightdevice[i];

		(void)snprintf(whose, sizeof(whose), "%" PRId64 ":%" PRId64, d->major, d->minor);
		if (!d->weight)
			continue;
		/* The cost model is off by default (cgroup-v2.rst, IO Cost): without it the kernel
		 * refuses a weight for the disk. */
		(void)snprintf(enable, sizeof(enable), "%s enable=1", whose);
		(void)write_text_at(p->root_fd, "io.cost.qos", enable);
		if (plan_io_weight(p, "linux.resources.blockIO.weightDevice", whose, d->weight) < 0)
			return -1;
	}
	if (plan_throttle(p, "linux.resources.blockIO.throttleReadBpsDevice", "rbps",
			  b->throttlereadbpsdevice, b->n_throttlereadbpsdevice) < 0 ||
	    plan_throttle(p, "linux.resources.blockIO.throttleWriteBpsDevice", "wbps",
			  b->throttlewritebpsdevice, b->n_throttlewritebpsdevice) < 0 ||
	    plan_throttle(p, "linux.resources.blockIO.throttleReadIOPSDevice", "riops",
			  b->throttlereadiopsdevice, b->n_throttlereadiopsdevice) < 0)
		return -1;
	return plan_throttle(p, "linux.resources.blockIO.throttleWriteIOPSDevice", "wiops",
			     b->throttlewriteiopsdevice, b->n_throttlewriteiopsdevice);
}

static int
plan_cpuset(struct plan *p, const Grpc__LinuxCPU *c)
{
	struct cgroup_settings *s = &p->settings;

	if (*c->cpus && settings_add(s, SETTING_LIMITS, "linux.resources.cpu.cpus", "cpuset.cpus",
				     p->err, "%s", c->cpus) < 0)
		return -1;
	return *c->mems ? settings_add(s, SETTING_LIMITS, "linux.resources.cpu.mems", "cpuset.mems",
				       p->err, "%s", c->mems)
			: 0;
}

/* Adds a write of one number. A negative one means no limit, for which the file may be missing. */
static int
plan_number(struct plan *p, const char *field, const char *file, int64_t value)
{
	char text[CGROUP_VALUE_MAX];

	cgroup_number(value, text);
	return settings_add(&p->settings, value < 0 ? SETTING_LOOSENS : SETTING_LIMITS, field, file,
			    p->err, "%s", text);
}

/* ---- conversions ---- */

uint64_t
cgroup_cpu_weight(uint64_t shares)
{
	double l;

	if (shares <= SHARES_MIN)
		return 1;
	if (shares >= SHARES_MAX)
		return 10000;
	l = log2((double)shares);
	return (uint64_t)ceil(pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0));
}

bool
cgroup_cpu_max(int64_t quota, uint64_t period, char out[CGROUP_VALUE_MAX])
{
	if (!quota && !period)
		return false;
	if (!period)
		period = CPU_PERIOD_DEFAULT_US;
	if (quota > 0)
		(void)snprintf(out, CGROUP_VALUE_MAX, "%" PRId64 " %" PRIu64, quota, period);
	else
		(void)snprintf(out, CGROUP_VALUE_MAX, "max %" PRIu64, period);
	return true;
}

uint64_t
cgroup_io_weight(uint32_t weight)
{
	return 1 + ((uint64_t)weight - 10) * 9999 / 990;
}

void
cgroup_number(int64_t value, char out[CGROUP_VALUE_MAX])
{
	if (value < 0)
		(void)snprintf(out, CGROUP_VALUE_MAX, "max");
	else
		(void)snprintf(out, CGROUP_VALUE_MAX, "%" PRId64, value);
}

int
cgroup_swap_max(int64_t memory_and_swap, int64_t memory, char out[CGROUP_VALUE_MAX],
		struct error *err)
{
	/* unlimited memory without a swap limit: v1 left swap unlimited, too */
	if (memory_and_swap < 0 || (!memory_and_swap && memory < 0)) {
		cgroup_number(-1, out);
		return 1;
	}
	if (!memory_and_swap)
		return 0;
	if (memory <= 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.memory.swap: memory.limit is missing");
	if (memory_and_swap < memory)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.memory.swap: %" PRId64
				 " is less than memory.limit %" PRId64,
				 memory_and_swap, memory);
	cgroup_number(memory_and_swap - memory, out);
	return 1;
}
