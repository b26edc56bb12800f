/* SPDX-License-Identifier: Apache-2.0 */
/* Device rules of a host in the numbers of the guest. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup/device_numbers.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

struct rule {
	const char *type;
	int64_t major, minor;
	const char *access;
	bool allow;
};

struct list {
	Grpc__LinuxResources resources;
	Grpc__LinuxDeviceCgroup rules[8];
	Grpc__LinuxDeviceCgroup *at[8];
};

static void
list_make(struct list *l, const struct rule *rules, size_t n)
{
	grpc__linux_resources__init(&l->resources);
	for (size_t i = 0; i < n; i++) {
		grpc__linux_device_cgroup__init(&l->rules[i]);
		l->rules[i].type = (char *)(uintptr_t)rules[i].type;
		l->rules[i].access = (char *)(uintptr_t)rules[i].access;
		l->rules[i].major = rules[i].major;
		l->rules[i].minor = rules[i].minor;
		l->rules[i].allow = rules[i].allow;
		l->at[i] = &l->rules[i];
	}
	l->resources.devices = l->at;
	l->resources.n_devices = n;
}

static void
expect(const struct list *l, const struct rule *want, size_t n)
{
	REQUIRE_EQ(l->resources.n_devices, n, "%zu rules", l->resources.n_devices);
	for (size_t i = 0; i < n; i++) {
		const Grpc__LinuxDeviceCgroup *r = l->resources.devices[i];

		CHECK_STR(r->type, want[i].type, "rule %zu", i);
		CHECK_STR(r->access, want[i].access, "rule %zu", i);
		CHECK(r->major == want[i].major && r->minor == want[i].minor, "rule %zu: %ld:%ld",
		      i, (long)r->major, (long)r->minor);
		CHECK_EQ(r->allow, want[i].allow, "rule %zu", i);
	}
}

/* Returns the memory of the appended rules. */
static void
list_release(struct list *l, size_t n_before)
{
	if (l->resources.devices == l->at)
		return;
	free(l->resources.devices[n_before]);
	free(l->resources.devices);
}

/* Two disks that have exchanged their numbers: neither gets the other's rule. */
Test(device_numbers, two_devices_that_exchange_numbers)
{
	static const struct device_number numbers[] = { { 'b', 8, 0, 8, 16 },
							{ 'b', 8, 16, 8, 0 } };
	static const struct rule before[] = {
		{ "a", -1, -1, "rwm", false }, { "b", 8, 0, "r", true },
		{ "b", 8, 16, "w", false },    { "c", 8, 0, "rwm", true },
		{ "b", 8, 32, "rwm", true },   { "b", 8, -1, "m", true },
	};
	static const struct rule after[] = {
		{ "a", -1, -1, "rwm", false }, { "b", 8, 16, "r", true },
		{ "b", 8, 0, "w", false },     { "c", 8, 0, "rwm", true },
		{ "b", 8, 32, "rwm", true },   { "b", 8, -1, "m", true },
		{ "b", 8, 16, "rwm", true },   { "b", 8, 0, "rwm", true },
	};
	struct error err = ERROR_INIT;
	struct list l;

	list_make(&l, before, ARRAY_LEN(before));
	REQUIRE_EQ(device_numbers_apply(&l.resources, numbers, ARRAY_LEN(numbers), &err), 0);
	expect(&l, after, ARRAY_LEN(after));
	list_release(&l, ARRAY_LEN(before));
}

Test(device_numbers, devices_are_allowed_after_a_rule_that_denies_all)
{
	static const struct device_number numbers[] = { { 'c', 250, 1, 240, 0 } };
	static const struct rule before[] = { { "", 0, 0, "rwm", false } };
	static const struct rule after[] = { { "", 0, 0, "rwm", false },
					     { "c", 240, 0, "rwm", true } };
	struct error err = ERROR_INIT;
	struct list l;

	list_make(&l, before, 1);
	REQUIRE_EQ(device_numbers_apply(&l.resources, numbers, 1, &err), 0);
	expect(&l, after, 2);
	list_release(&l, 1);
}

/* A device that the host does not know: only its own rule is added. */
Test(device_numbers, device_of_the_guest_with_fewer_accesses)
{
	static const struct device_number numbers[] = { { 'c', DEVICE_NOT_ON_HOST, 0, 195, 0,
							  "rw" },
							{ 'b', DEVICE_NOT_ON_HOST, 0, 8, 1, "" } };
	static const struct rule before[] = { { "c", -1, 0, "m", false } };
	static const struct rule after[] = { { "c", -1, 0, "m", false },
					     { "c", 195, 0, "rw", true },
					     { "b", 8, 1, "rwm", true } };
	struct error err = ERROR_INIT;
	struct list l;

	list_make(&l, before, 1);
	REQUIRE_EQ(device_numbers_apply(&l.resources, numbers, ARRAY_LEN(numbers), &err), 0);
	expect(&l, after, ARRAY_LEN(after));
	list_release(&l, 1);
}

Test(device_numbers, no_devices_change_nothing)
{
	static const struct rule before[] = { { "b", 8, 0, "r", true } };
	struct error err = ERROR_INIT;
	struct list l;

	list_make(&l, before, 1);
	REQUIRE_EQ(device_numbers_apply(&l.resources, NULL, 0, &err), 0);
	expect(&l, before, 1);
	CHECK_EQ(l.resources.devices, l.at);
}
