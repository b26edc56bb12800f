/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plugging by QMP. QEMU holds all state: which devices there are, and which ports are free.
 *
 *	back end (image, memory, network) -> device -> used -> device_del -> back end removed
 *	                                       | failure                        ^
 *	                                       +--------------------------------+
 */
#include "ctl/vm/attach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/vm/qemu.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"

#define PERIPHERAL "/machine/peripheral"
#define CONTROLLER "scsi0"
#define SCSI_IDS   256
/* Time between two looks at what QEMU sends no event for. */
#define WAIT_EVENT_MS 200
/* block of the guest that memory is added by */
#define MEMORY_BLOCK (UINT64_C(128) << 20)

/* Kinds of devices by the name that begins their id. */
static const struct {
	const char *name;
	/* back end: command and name of its argument that remove it, and the prefix of its name */
	const char *remove, *argument, *backend;
} kinds[] = {
	{ "disk", "blockdev-del", "node-name", "node-" },
	{ "nic", "netdev_del", "id", "net-" },
	{ "memory", "object-del", "id", "ram-" },
	{ "cpu", NULL, NULL, "" },
};

static int attach_choose_id(struct qmp *q, const char *kind, struct attached *out,
			    struct error *err);
static int attach_find_port(struct qmp *q, char *port, size_t size, char *path, size_t path_size,
			    struct error *err);
static int attach_device(struct qmp *q, const char *id, json_t *device, struct error *err);
static int attach_scsi(struct qmp *q, unsigned int *target, struct error *err);
static int attach_remove_backend(struct qmp *q, const char *id, struct error *err);
static int attach_exists(struct qmp *q, const char *id, struct error *err);

/* Returns the kind of this id, or ARRAY_LEN(kinds). */
static size_t
attach_kind(const char *id)
{
	size_t i = 0;

	for (; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i].name);

		if (strncmp(id, kinds[i].name, n) == 0 && id[n] != '\0' &&
		    strspn(id + n, "0123456789") == strlen(id + n))
			break;
	}
	return i;
}

/* ---- disks ---- */

static int
attach_disk_device(struct qmp *q, enum share_kind bus, const char *image, bool readonly,
		   struct attached *out, struct error *err)
{
	char port[32] = "", node[48];
	unsigned int target = 0;
	json_t *device;

	if (attach_choose_id(q, "disk", out, err) < 0)
		return -1;
	if (bus == SHARE_BLK &&
	    attach_find_port(q, port, sizeof(port), out->address, sizeof(out->address), err) < 0)
		return -1;
	(void)snprintf(node, sizeof(node), "node-%s", out->id);
	if (qmp_do(q, "blockdev-add",
		   json_pack("{s:s, s:s, s:b, s:{s:s, s:s}}", "node-name", node, "driver", "raw",
			     "read-only", (int)readonly, "file", "driver", "file", "filename",
			     image),
		   err) < 0)
		return -1;
	if (bus == SHARE_BLK) {
		device = json_pack("{s:s, s:s, s:s, s:s}", "driver", "virtio-blk-pci", "id",
				   out->id, "drive", node, "bus", port);
		return attach_device(q, out->id, device, err);
	}
	if (attach_scsi(q, &target, err) < 0) {
		struct error ignored = ERROR_INIT;

		(void)attach_remove_backend(q, out->id, &ignored);
		return -1;
	}
	(void)snprintf(out->address, sizeof(out->address), "%u:0", target);
	device = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i}", "driver", "scsi-hd", "id", out->id,
			   "drive", node, "bus", CONTROLLER ".0", "scsi-id", (int)target, "lun", 0);
	return attach_device(q, out->id, device, err);
}

int
attach_disk(struct qmp *q, enum share_kind bus, const char *image, bool readonly,
	    struct attached *out, struct error *err)
{
	return attach_disk_device(q, bus, image, readonly, out, err) < 0
		       ? error_wrap(err, "failed to attach %s", image)
		       : 0;
}

/* Plugs in a controller if the VM has none, and chooses a free target. */
static int
attach_scsi(struct qmp *q, unsigned int *target, struct error *err)
{
	bool taken[SCSI_IDS] = { false };
	bool has_controller = false;
	char port[32], path[32];
	json_t *list, *item;
	size_t i;

	list = qmp_call(q, "qom-list", json_pack("{s:s}", "path", PERIPHERAL), err);
	if (!list)
		return -1;
	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *type = json_string_value(json_object_get(item, "type"));
		char device[128];
		json_t *id;

		has_controller |= name && strcmp(name, CONTROLLER) == 0;
		if (!name || !type || strcmp(type, "child<scsi-hd>") != 0)
			continue;
		(void)snprintf(device, sizeof(device), PERIPHERAL "/%.64s", name);
		id = qmp_call(q, "qom-get",
			      json_pack("{s:s, s:s}", "path", device, "property", "scsi-id"), err);
		if (!id) {
			json_decref(list);
			return -1;
		}
		if (json_integer_value(id) >= 0 && json_integer_value(id) < SCSI_IDS)
			taken[json_integer_value(id)] = true;
		json_decref(id);
	}
	json_decref(list);
	*target = 0;
	while (*target < SCSI_IDS && taken[*target])
		++*target;
	if (*target == SCSI_IDS)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "the SCSI controller has no free target");
	if (has_controller)
		return 0;
	if (attach_find_port(q, port, sizeof(port), path, sizeof(path), err) < 0)
		return -1;
	return qmp_do(q, "device_add",
		      json_pack("{s:s, s:s, s:s}", "driver", "virtio-scsi-pci", "id", CONTROLLER,
				"bus", port),
		      err);
}

/* ---- other devices ---- */

int
attach_nic(struct qmp *q, const char *mac, struct attached *out, struct error *err)
{
	char port[32], net[48];
	json_t *device;

	if (attach_choose_id(q, "nic", out, err) < 0 ||
	    attach_find_port(q, port, sizeof(port), out->address, sizeof(out->address), err) < 0)
		return -1;
	(void)snprintf(net, sizeof(net), "net-%s", out->id);
	if (qmp_do(q, "netdev_add",
		   json_pack("{s:s, s:s, s:b}", "type", "user", "id", net, "ipv6", 0), err) < 0)
		return -1;
	device = json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", "virtio-net-pci", "id", out->id,
			   "netdev", net, "bus", port, "romfile", "");
	if (device && mac)
		(void)json_object_set_new(device, "mac", json_string(mac));
	return attach_device(q, out->id, device, err);
}

/* Sets *addr to where memory can be put behind the VM's memory devices, 0: anywhere. QEMU itself
 * would put it directly behind an NVDIMM, where a kernel refuses it: it takes whole blocks. */
static int
attach_find_address(struct qmp *q, uint64_t *addr, struct error *err)
{
	json_t *list = qmp_call(q, "query-memory-devices", json_object(), err), *item;
	size_t i;

	*addr = 0;
	if (!list)
		return -1;
	json_array_foreach(list, i, item)
	{
		const json_t *data = json_object_get(item, "data");
		const json_t *begin = json_object_get(data, "addr");
		const json_t *size = json_object_get(data, "size");
		uint64_t end;

		begin = begin ? begin : json_object_get(data, "memaddr");
		size = size ? size : json_object_get(data, "max-size");
		end = (uint64_t)json_integer_value(begin) + (uint64_t)json_integer_value(size);
		end = (end + MEMORY_BLOCK - 1) / MEMORY_BLOCK * MEMORY_BLOCK;
		*addr = end > *addr ? end : *addr;
	}
	json_decref(list);
	return 0;
}

int
attach_memory(struct qmp *q, uint64_t bytes, struct attached *out, struct error *err)
{
	char ram[48];
	uint64_t addr;
	json_t *device;

	if (attach_choose_id(q, "memory", out, err) < 0 || attach_find_address(q, &addr, err) < 0)
		return -1;
	(void)snprintf(ram, sizeof(ram), "ram-%s", out->id);
	/* vhost-user devices read the guest's memory, so it must be shared. */
	if (qmp_do(q, "object-add",
		   json_pack("{s:s, s:s, s:I, s:b}", "qom-type", "memory-backend-memfd", "id", ram,
			     "size", (json_int_t)bytes, "share", 1),
		   err) < 0)
		return -1;
	device = json_pack("{s:s, s:s, s:s}", "driver", "pc-dimm", "id", out->id, "memdev", ram);
	if (device && addr)
		(void)json_object_set_new(device, "addr", json_integer((json_int_t)addr));
	return attach_device(q, out->id, device, err);
}

int
attach_cpu(struct qmp *q, struct attached *out, struct error *err)
{
	json_t *list, *item, *device = NULL;
	size_t i;

	if (attach_choose_id(q, "cpu", out, err) < 0)
		return -1;
	list = qmp_call(q, "query-hotpluggable-cpus", json_object(), err);
	if (!list)
		return -1;
	out->total = 1;
	/* QEMU lists the last one first. */
	json_array_foreach(list, i, item)
	{
		if (json_object_get(item, "qom-path")) {
			out->total++;
			continue;
		}
		json_decref(device);
		device = json_deep_copy(json_object_get(item, "props"));
		if (device)
			(void)json_object_set(device, "driver", json_object_get(item, "type"));
	}
	json_decref(list);
	if (!device)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "the VM has all processors that it can have (see --max-cpus)");
	(void)json_object_set_new(device, "id", json_string(out->id));
	return attach_device(q, out->id, device, err);
}

/* ---- steps ---- */

/* Chooses an id that no device has. */
static int
attach_choose_id(struct qmp *q, const char *kind, struct attached *out, struct error *err)
{
	*out = (struct attached){ .id = "" };
	for (unsigned int i = 0;; i++) {
		int r;

		(void)snprintf(out->id, sizeof(out->id), "%s%u", kind, i);
		r = attach_exists(q, out->id, err);
		if (r <= 0)
			return r;
	}
}

/* Returns 1 if QEMU has the device, 0 if not, -1 and err on failure. */
static int
attach_exists(struct qmp *q, const char *id, struct error *err)
{
	json_t *list = qmp_call(q, "qom-list", json_pack("{s:s}", "path", PERIPHERAL), err), *item;
	size_t i;
	int found = 0;

	if (!list)
		return -1;
	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));

		found |= name && strcmp(name, id) == 0;
	}
	json_decref(list);
	return found;
}

/* Finds an empty root port: its name and the PCI path of a device in it. */
static int
attach_find_port(struct qmp *q, char *port, size_t size, char *path, size_t path_size,
		 struct error *err)
{
	json_t *buses = qmp_call(q, "query-pci", json_object(), err), *bus, *device;
	unsigned int ports = 0, best = VM_PORTS_MAX;
	size_t i, k;

	if (!buses)
		return error_wrap(err, "the VM has no PCI");
	json_array_foreach(buses, i, bus)
	{
		json_array_foreach(json_object_get(bus, "devices"), k, device)
		{
			const char *id = json_string_value(json_object_get(device, "qdev_id"));
			json_t *bridge = json_object_get(device, "pci_bridge");
			unsigned int number;

			if (!id || strncmp(id, "hotplug", 7) != 0 || id[7] < '0' ||
			    id[7] >= '0' + VM_PORTS_MAX || id[8] != '\0' || !bridge)
				continue;
			number = (unsigned int)(id[7] - '0');
			ports++;
			if (number < best &&
			    json_array_size(json_object_get(bridge, "devices")) == 0)
				best = number;
		}
	}
	json_decref(buses);
	if (best == VM_PORTS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "no free port: the VM has %u (see --hotplug-ports)", ports);
	(void)snprintf(port, size, "hotplug%u", best);
	qemu_port_path(best, path, path_size);
	return 0;
}

/* Adds a device, whose back end exists. Releases `device`. */
static int
attach_device(struct qmp *q, const char *id, json_t *device, struct error *err)
{
	struct error ignored = ERROR_INIT;

	if (qmp_do(q, "device_add", device, err) == 0)
		return 0;
	(void)attach_remove_backend(q, id, &ignored);
	return -1;
}

static int
attach_remove_backend(struct qmp *q, const char *id, struct error *err)
{
	size_t kind = attach_kind(id);
	char backend[64];

	if (kind == ARRAY_LEN(kinds) || !kinds[kind].remove)
		return 0;
	(void)snprintf(backend, sizeof(backend), "%s%s", kinds[kind].backend, id);
	return qmp_do(q, kinds[kind].remove, json_pack("{s:s}", kinds[kind].argument, backend),
		      err);
}

/* ---- removal and list ---- */

int
attach_remove(struct qmp *q, const char *id, int timeout_ms, struct error *err)
{
	uint64_t deadline = deadline_in((uint64_t)timeout_ms);
	int r = attach_kind(id) == ARRAY_LEN(kinds) ? 0 : attach_exists(q, id, err);

	if (r < 0)
		return -1;
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, "no device %s was attached", id);
	q->refused[0] = '\0';
	if (qmp_do(q, "device_del", json_pack("{s:s}", "id", id), err) < 0)
		return -1;
	while ((r = attach_exists(q, id, err)) > 0) {
		struct error ignored = ERROR_INIT;

		if (strcmp(q->refused, id) == 0)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "the guest refused to release %s", id);
		if (deadline_is_over(deadline))
			return error_set(err, ERROR_DEADLINE_EXCEEDED,
					 "timed out: the guest has not released %s", id);
		if (qmp_wait_event(q, WAIT_EVENT_MS, &ignored) < 0) {
			*err = ignored;
			return -1;
		}
	}
	if (r < 0)
		return -1;
	/* QEMU frees the device after it has left the list. */
	while (attach_remove_backend(q, id, err) < 0) {
		struct error ignored = ERROR_INIT;

		if (deadline_is_over(deadline) || qmp_wait_event(q, WAIT_EVENT_MS, &ignored) < 0)
			return -1;
		*err = ERROR_INIT;
	}
	return 0;
}

int
attach_list(struct qmp *q, void (*fn)(const char *id, const char *type, void *data), void *data,
	    struct error *err)
{
	json_t *list = qmp_call(q, "qom-list", json_pack("{s:s}", "path", PERIPHERAL), err), *item;
	size_t i;

	if (!list)
		return -1;
	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *type = json_string_value(json_object_get(item, "type"));
		const char *begin = type ? strchr(type, '<') : NULL;
		char text[64] = "";

		if (!name || !type || attach_kind(name) == ARRAY_LEN(kinds))
			continue;
		if (begin)
			(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(begin + 1, ">"),
				       begin + 1);
		fn(name, text, data);
	}
	json_decref(list);
	return 0;
}
