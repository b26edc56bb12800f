/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of the spec's devices (device_entries.h). Called by launch.c and exec.c. */
#include "agent/container/launch/device_entries.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/cgroup/device_numbers.h"
#include "agent/container/launch/rdma.h"
#include "agent/device/pci_env.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"

/* One device with its numbers on the host and in the guest. */
struct change {
	Grpc__LinuxDevice *device;
	struct device_number number;
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
	c->number = (struct device_number){
		.type = S_ISBLK(st.st_mode) ? 'b' : 'c',
		.host_major = (uint32_t)c->device->major,
		.host_minor = (uint32_t)c->device->minor,
		.major = major(st.st_rdev),
		.minor = minor(st.st_rdev),
	};
	if (c->device->type[0] == 'b' ? c->number.type != 'b' : c->number.type != 'c')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "device %s: type is %c in the guest, not %s", c->device->path,
				 (int)c->number.type, c->device->type);
	return 0;
}

/* Checks that the last device has neither the path nor the host's number of an earlier one. */
static int
device_entries_check_apart(const struct change *all, size_t n, struct error *err)
{
	const struct change *c = &all[n];

	for (size_t i = 0; i < n; i++) {
		if (all[i].device == c->device)
			return error_set(err, ERROR_INVALID_ARGUMENT, "device %s is given twice",
					 c->device->path);
		if (all[i].number.type == c->number.type &&
		    all[i].number.host_major == c->number.host_major &&
		    all[i].number.host_minor == c->number.host_minor)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "devices %s and %s: both have the host's number %u:%u",
					 all[i].device->path, c->device->path, c->number.host_major,
					 c->number.host_minor);
	}
	return 0;
}

/* Translates the entries of the devices that the host plugged in. */
static int
device_entries_translate(const struct launch *l, struct device_number *numbers, struct error *err)
{
	auto_free struct change *all = calloc(l->n_devices + 1, sizeof(*all));

	if (!all)
		return error_nomem(err, "translating device numbers");
	for (size_t i = 0; i < l->n_devices; i++) {
		if (device_entries_stat(l, &l->devices[i], &all[i], err) < 0 ||
		    device_entries_check_apart(all, i, err) < 0)
			return -1;
		numbers[i] = all[i].number;
	}
	for (size_t i = 0; i < l->n_devices; i++) {
		Grpc__LinuxDevice *d = all[i].device;

		d->major = numbers[i].major;
		d->minor = numbers[i].minor;
		/* The memory is not freed before the worker exits. */
		if (l->devices[i].is_renamed)
			d->path = strdup(l->devices[i].node);
		if (!d->path)
			return error_nomem(err, "renaming a device");
	}
	return 0;
}

int
device_entries_add_rdma(const struct launch *l, struct device_number *numbers, struct error *err)
{
	struct rdma_node nodes[RDMA_NODES_MAX];
	Grpc__Linux *spec = l->spec->linux;
	int n = rdma_find(l->roots, l->functions, l->n_functions, nodes, err);
	static char type[] = "c";
	Grpc__LinuxDevice *entries, **list;
	size_t added = 0;

	if (n <= 0)
		return n;
	/* The memory is not freed before the worker exits. */
	entries = calloc((size_t)n, sizeof(*entries));
	list = calloc(spec->n_devices + (size_t)n, sizeof(*list));
	if (!entries || !list) {
		free(entries);
		free(list);
		return error_nomem(err, "adding RDMA devices");
	}
	if (spec->n_devices)
		memcpy(list, spec->devices, spec->n_devices * sizeof(*list));
	spec->devices = list;
	for (int i = 0; i < n; i++) {
		Grpc__LinuxDevice *d = &entries[added];
		char *path = NULL;

		numbers[i] = (struct device_number){
			.type = 'c',
			.host_major = DEVICE_NOT_ON_HOST,
			.major = major(nodes[i].st.st_rdev),
			.minor = minor(nodes[i].st.st_rdev),
		};
		if (asprintf(&path, "/dev/%s", nodes[i].name) < 0)
			return error_nomem(err, "adding RDMA devices");
		if (device_entries_find(spec, path)) {
			free(path);
			continue;
		}
		grpc__linux_device__init(d);
		d->path = path;
		d->type = type;
		d->major = numbers[i].major;
		d->minor = numbers[i].minor;
		d->filemode = nodes[i].st.st_mode & 0777;
		d->uid = nodes[i].st.st_uid;
		d->gid = nodes[i].st.st_gid;
		spec->devices[spec->n_devices++] = d;
		added++;
	}
	return n;
}

static void
device_entries_warn(const char *name, const char *address, void *data)
{
	worker_log(data, LOG_LEVEL_WARN,
		   "%s keeps the host's PCI addresses: no device of the container has %s", name,
		   address);
}

void
device_entries_translate_env(struct worker *w, const Grpc__Process *process,
			     const struct pci_pair *functions, size_t n_functions)
{
	pci_env_rewrite(process->env, process->n_env, functions, n_functions, device_entries_warn,
			w);
}

int
device_entries_apply(struct worker *w, const struct launch *l, struct error *err)
{
	Grpc__LinuxResources *r = l->spec->linux->resources;
	auto_free struct device_number *numbers = NULL;
	size_t n = l->n_devices;
	int n_rdma;

	device_entries_translate_env(w, l->spec->process, l->functions, l->n_functions);
	numbers = calloc(n + RDMA_NODES_MAX + l->n_numbers, sizeof(*numbers));
	if (!numbers)
		return error_nomem(err, "translating device numbers");
	if (device_entries_translate(l, numbers, err) < 0)
		return -1;
	n_rdma = device_entries_add_rdma(l, numbers + n, err);
	if (n_rdma < 0)
		return -1;
	n += (size_t)n_rdma;
	if (l->n_numbers)
		memcpy(numbers + n, l->numbers, l->n_numbers * sizeof(*numbers));
	n += l->n_numbers;
	if (n == 0)
		return 0;
	if (n > LAUNCH_NUMBERS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d devices",
				 LAUNCH_NUMBERS_MAX);
	/* Without rules, all devices are allowed. */
	if (r && r->n_devices > 0 && device_numbers_apply(r, numbers, n, err) < 0)
		return -1;
	return worker_send(w, LAUNCH_MSG_NUMBERS, numbers, n * sizeof(*numbers), NULL, 0, false,
			   err);
}
