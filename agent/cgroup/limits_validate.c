/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of resources: invalid values, and resources that cgroup v2 does not have. Pure. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup/device_rules.h"
#include "agent/cgroup/limits.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

/* limits of the kernel */
#define CPU_PERIOD_MIN_US 1000
#define CPU_PERIOD_MAX_US 1000000
/* CPUs or nodes: kernels support fewer */
#define LIST_NUMBER_MAX 8191
/* in one list */
#define IO_DEVICES_MAX 256

static int limits_check_memory(const Grpc__LinuxMemory *m, bool update, struct error *err);
static int limits_check_cpu(const Grpc__LinuxCPU *c, struct error *err);
static int limits_check_hugepages(const Grpc__LinuxHugepageLimit *h, struct error *err);
static int limits_check_io(const Grpc__LinuxBlockIO *b, struct error *err);

/* Reports an invalid value of a field. */
static int
limits_invalid(struct error *err, const char *field, int64_t value)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "linux.resources.%s: invalid value %" PRId64,
			 field, value);
}

static int
limits_unknown_to_v2(struct error *err, const char *field)
{
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "linux.resources.%s: not supported by cgroup v2", field);
}

int
cgroup_limits_validate(const Grpc__LinuxResources *r, bool update, struct error *err)
{
	if (!r)
		return 0;
	if (r->memory && limits_check_memory(r->memory, update, err) < 0)
		return -1;
	if (r->cpu && limits_check_cpu(r->cpu, err) < 0)
		return -1;
	if (r->pids && r->pids->limit < -1)
		return limits_invalid(err, "pids.limit", r->pids->limit);
	for (size_t i = 0; i < r->n_hugepagelimits; i++) {
		if (limits_check_hugepages(r->hugepagelimits[i], err) < 0)
			return -1;
	}
	if (r->blockio && limits_check_io(r->blockio, err) < 0)
		return -1;
	if (r->network && r->network->classid)
		return limits_unknown_to_v2(err, "network.classID");
	if (r->network && r->network->n_priorities)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.network.priorities: %.32s %" PRIu32
				 ": not supported by cgroup v2",
				 r->network->priorities[0]->name,
				 r->network->priorities[0]->priority);
	return device_rules_validate(r->devices, r->n_devices, err);
}

static int
limits_check_memory(const Grpc__LinuxMemory *m, bool update, struct error *err)
{
	char value[CGROUP_VALUE_MAX];

	if (m->limit < -1)
		return limits_invalid(err, "memory.limit", m->limit);
	if (m->reservation < -1)
		return limits_invalid(err, "memory.reservation", m->reservation);
	if (m->swap < -1)
		return limits_invalid(err, "memory.swap", m->swap);
	if (m->kernel > 0)
		return limits_unknown_to_v2(err, "memory.kernel");
	if (m->kerneltcp > 0)
		return limits_unknown_to_v2(err, "memory.kernelTCP");
	if (m->swappiness)
		return limits_unknown_to_v2(err, "memory.swappiness");
	if (m->disableoomkiller)
		return limits_unknown_to_v2(err, "memory.disableOOMKiller");
	/* the current limit applies, which is not known here */
	if (update && m->swap > 0 && !m->limit)
		return 0;
	return cgroup_swap_max(m->swap, m->limit, value, err) < 0 ? -1 : 0;
}

/* Checks a list of numbers and ascending ranges, such as "0-3,8" (cpuset(7), list format). */
static bool
limits_list_is_valid(const char *text)
{
	char word[32], *last;
	uint32_t from, to;
	size_t n;

	for (;; text += n + 1) {
		n = strcspn(text, ",");
		if (!n || n >= sizeof(word))
			return false;
		memcpy(word, text, n);
		word[n] = '\0';
		last = strchr(word, '-');
		if (last)
			*last++ = '\0';
		if (!parse_u32(word, &from) || !parse_u32(last ? last : word, &to) || from > to ||
		    to > LIST_NUMBER_MAX)
			return false;
		if (!text[n])
			return true;
	}
}

static int
limits_check_cpu(const Grpc__LinuxCPU *c, struct error *err)
{
	if (c->quota < -1)
		return limits_invalid(err, "cpu.quota", c->quota);
	if (c->period && (c->period < CPU_PERIOD_MIN_US || c->period > CPU_PERIOD_MAX_US))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.cpu.period: %" PRIu64 " is not between %d and %d",
				 c->period, CPU_PERIOD_MIN_US, CPU_PERIOD_MAX_US);
	if (c->realtimeruntime > 0)
		return limits_unknown_to_v2(err, "cpu.realtimeRuntime");
	if (c->realtimeperiod > 0)
		return limits_unknown_to_v2(err, "cpu.realtimePeriod");
	if (*c->cpus && !limits_list_is_valid(c->cpus))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.cpu.cpus: invalid list of CPUs \"%.64s\"",
				 c->cpus);
	if (*c->mems && !limits_list_is_valid(c->mems))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.cpu.mems: invalid list of nodes \"%.64s\"",
				 c->mems);
	return 0;
}

static int
limits_check_hugepages(const Grpc__LinuxHugepageLimit *h, struct error *err)
{
	const char *size = h->pagesize;
	size_t digits = strspn(size, "0123456789");

	if (!digits || digits > 8 ||
	    (strcmp(size + digits, "KB") != 0 && strcmp(size + digits, "MB") != 0 &&
	     strcmp(size + digits, "GB") != 0))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.hugepageLimits: invalid page size \"%.20s\"",
				 size);
	return 0;
}

static int
limits_check_number(const char *field, int64_t major, int64_t minor, struct error *err)
{
	if (major >= 0 && major <= 4095 && minor >= 0 && minor <= 1048575)
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "linux.resources.blockIO.%s: device %" PRId64 ":%" PRId64
			 " is out of range",
			 field, major, minor);
}

static int
limits_check_weight(const char *field, uint32_t weight, uint32_t leaf, struct error *err)
{
	if (leaf)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.blockIO.%s: leafWeight is not supported by "
				 "cgroup v2",
				 field);
	if (weight && (weight < 10 || weight > 1000))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.resources.blockIO.%s: %" PRIu32
				 " is not between 10 and 1000",
				 field, weight);
	return 0;
}

static int
limits_check_throttle(const char *field, Grpc__LinuxThrottleDevice *const *list, size_t n,
		      struct error *err)
{
	if (n > IO_DEVICES_MAX)
		return limits_invalid(err, field, (int64_t)n);
	for (size_t i = 0; i < n; i++) {
		if (limits_check_number(field, list[i]->major, list[i]->minor, err) < 0)
			return -1;
	}
	return 0;
}

static int
limits_check_io(const Grpc__LinuxBlockIO *b, struct error *err)
{
	if (limits_check_weight("weight", b->weight, b->leafweight, err) < 0)
		return -1;
	if (b->n_weightdevice > IO_DEVICES_MAX)
		return limits_invalid(err, "blockIO.weightDevice", (int64_t)b->n_weightdevice);
	for (size_t i = 0; i < b->n_weightdevice; i++) {
		const Grpc__LinuxWeightDevice *d = b->weightdevice[i];

		if (limits_check_weight("weightDevice", d->weight, d->leafweight, err) < 0 ||
		    limits_check_number("weightDevice", d->major, d->minor, err) < 0)
			return -1;
	}
	if (limits_check_throttle("throttleReadBpsDevice", b->throttlereadbpsdevice,
				  b->n_throttlereadbpsdevice, err) < 0 ||
	    limits_check_throttle("throttleWriteBpsDevice", b->throttlewritebpsdevice,
				  b->n_throttlewritebpsdevice, err) < 0 ||
	    limits_check_throttle("throttleReadIOPSDevice", b->throttlereadiopsdevice,
				  b->n_throttlereadiopsdevice, err) < 0)
		return -1;
	return limits_check_throttle("throttleWriteIOPSDevice", b->throttlewriteiopsdevice,
				     b->n_throttlewriteiopsdevice, err);
}
