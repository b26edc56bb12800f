/* SPDX-License-Identifier: Apache-2.0 */
/* The buses that disks are on: names of storage drivers and of device types, and how disks on them
 * are addressed. Pure, never blocks. */
#pragma once

#include <stddef.h>

#include "agent/device/kind.h"

struct device_bus {
	/* The value of Storage.driver and of Device.type. */
	const char *name;
	/* The kind of address of the bus; NULL: only nodes. */
	const struct device_kind *kind;
	/* A node, "/dev/<name>", is accepted as well. */
	bool by_node;
	/* Device entries have the address in `id`, not in `vm_path`. */
	bool by_id;
};

/* Returns the i-th bus, NULL past the last. */
const struct device_bus *device_bus(size_t i);

/* Returns the bus of this name, or NULL. */
const struct device_bus *device_bus_find(const char *name);

/* Parses the address of a disk on the bus. Returns 0, or -1 and INVALID_ARGUMENT. */
int device_bus_parse(const struct device_bus *bus, const char *text, struct device_address *out,
		     struct error *err);

/* Parses an address of one kind. Returns 0, or -1 and INVALID_ARGUMENT. */
int device_address_parse(const struct device_kind *kind, const char *text,
			 struct device_address *out, struct error *err);
