/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of the spec's device numbers (device_entries.h). Called by launch.c. */
#include "agent/container/launch/device_entries.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"

/* One device with its numbers on the host and in the guest. */
struct change {
	Grpc__LinuxDevice *device;
	int64_t host_major, host_minor;
	unsigned int major, minor;
	/* "b" or "c". */
	const char *type;
};

static Grpc__LinuxDevice *
device_entries_find(const Grpc__Linux *l, const char *path)
{
	for (size_t i = 0; i < l->n_devices; i++) {
		if (strcmp(l->devices[i]->path, path) == 0)
			return l->devices[i];
	}
	return NULL;
}

/* Finds the guest's node, without opening it, and the entry of the spec. */
static int
device_entries_stat(const struct launch *l, const struct launch_device *d, struct change *c,
		    struct error *err)
{
	const char *name = strncmp(d->node, "/dev/", 5) == 0 ? d->node + 5 : "";
	struct stat st;

	if (fstatat(l->roots->dev, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "device %s: failed to stat %s", d->container_path, d->node);
	if (!S_ISBLK(st.st_mode) && !S_ISCHR(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "device %s: %s is not a device",
				 d->container_path, d->node);
	c->device = device_entries_find(l->spec->linux, d->container_path);
	if (!c->device)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "Missing devices in OCI spec: nothing has path %s",
				 d->container_path);
	c->type = S_ISBLK(st.st_mode) ? "b" : "c";
	c->major = major(st.st_rdev);
	c->minor = minor(st.st_rdev);
	c->host_major = c->device->major;
	c->host_minor = c->device->minor;
	return 0;
}

/* Checks that the last device has neither the path nor the host's number of an earlier one. */
static int
check_apart(const struct change *all, size_t n, struct error *err)
{
	const struct change *c = &all[n];

	for (size_t i = 0; i < n; i++) {
		if (all[i].device == c->device)
			return error_set(err, ERROR_INVALID_ARGUMENT, "device %s is given twice",
					 c->device->path);
		if (strcmp(all[i].type, c->type) == 0 && all[i].host_major == c->host_major &&
		    all[i].host_minor == c->host_minor)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "devices %s and %s: both have the host's number "
					 "%" PRId64 ":%" PRId64,
					 all[i].device->path, c->device->path, c->host_major,
					 c->host_minor);
	}
	return 0;
}

/* Rewrites the rules. Each one is changed at most once, because a number of the guest may be
 * that of another device on the host. */
static void
rewrite_rules(Grpc__LinuxResources *r, const struct change *all, size_t n)
{
	for (size_t k = 0; k < r->n_devices; k++) {
		Grpc__LinuxDeviceCgroup *rule = r->devices[k];

		for (size_t i = 0; i < n; i++) {
			if (strcmp(rule->type, all[i].type) != 0 ||
			    rule->major != all[i].host_major || rule->minor != all[i].host_minor)
				continue;
			rule->major = all[i].major;
			rule->minor = all[i].minor;
			break;
		}
	}
}

/* Appends a rule for each device. The memory is not freed before the worker exits. */
static int
append_rules(Grpc__LinuxResources *r, const struct change *all, size_t n, struct error *err)
{
	Grpc__LinuxDeviceCgroup *rules = calloc(n, sizeof(*rules));
	Grpc__LinuxDeviceCgroup **list =
		calloc(r->n_devices + n, sizeof(Grpc__LinuxDeviceCgroup *));
	static char access[] = "rwm";

	if (!rules || !list) {
		free(rules);
		free(list);
		return error_nomem(err, "adding device rules");
	}
	if (r->n_devices)
		memcpy(list, r->devices, r->n_devices * sizeof(Grpc__LinuxDeviceCgroup *));
	for (size_t i = 0; i < n; i++) {
		grpc__linux_device_cgroup__init(&rules[i]);
		rules[i].allow = true;
		rules[i].type = all[i].device->type;
		rules[i].major = all[i].major;
		rules[i].minor = all[i].minor;
		rules[i].access = access;
		list[r->n_devices + i] = &rules[i];
	}
	r->devices = list;
	r->n_devices += n;
	return 0;
}

int
device_entries_apply(const struct launch *l, struct error *err)
{
	Grpc__LinuxResources *r = l->spec->linux->resources;
	auto_free struct change *all = calloc(l->n_devices + 1, sizeof(*all));

	if (!all)
		return error_nomem(err, "translating device numbers");
	for (size_t i = 0; i < l->n_devices; i++) {
		if (device_entries_stat(l, &l->devices[i], &all[i], err) < 0 ||
		    check_apart(all, i, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < l->n_devices; i++) {
		Grpc__LinuxDevice *d = all[i].device;

		if (d->type[0] == 'b' ? *all[i].type != 'b' : *all[i].type != 'c')
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "device %s: type is %s in the guest, not %s", d->path,
					 all[i].type, d->type);
		d->major = all[i].major;
		d->minor = all[i].minor;
	}
	/* Without rules, all devices are allowed. */
	if (!l->n_devices || !r || !r->n_devices)
		return 0;
	rewrite_rules(r, all, l->n_devices);
	return append_rules(r, all, l->n_devices, err);
}
