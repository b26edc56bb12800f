/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cgroup/device_numbers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void
rewrite(Grpc__LinuxDeviceCgroup *rule, const struct device_number *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct device_number *d = &numbers[i];

		if ((uint32_t)rule->type[0] != d->type || rule->major != d->host_major ||
		    rule->minor != d->host_minor)
			continue;
		rule->major = d->major;
		rule->minor = d->minor;
		return;
	}
}

int
device_numbers_apply(Grpc__LinuxResources *r, const struct device_number *numbers, size_t n,
		     struct error *err)
{
	static char block[] = "b", character[] = "c", all[] = "rwm";
	Grpc__LinuxDeviceCgroup *rules;
	Grpc__LinuxDeviceCgroup **list;
	char *access;

	if (n == 0)
		return 0;
	/* The texts follow the rules, in the same memory. */
	rules = calloc(n, sizeof(*rules) + sizeof(numbers->access));
	list = calloc(r->n_devices + n, sizeof(Grpc__LinuxDeviceCgroup *));
	if (!rules || !list) {
		free(rules);
		free(list);
		return error_nomem(err, "adding device rules");
	}
	access = (char *)(rules + n);
	for (size_t i = 0; i < r->n_devices; i++) {
		rewrite(r->devices[i], numbers, n);
		list[i] = r->devices[i];
	}
	for (size_t i = 0; i < n; i++) {
		grpc__linux_device_cgroup__init(&rules[i]);
		rules[i].allow = true;
		rules[i].type = numbers[i].type == 'b' ? block : character;
		rules[i].major = numbers[i].major;
		rules[i].minor = numbers[i].minor;
		memcpy(access, numbers[i].access, sizeof(numbers[i].access) - 1);
		rules[i].access = *access ? access : all;
		access += sizeof(numbers[i].access);
		list[r->n_devices + i] = &rules[i];
	}
	r->devices = list;
	r->n_devices += n;
	return 0;
}
