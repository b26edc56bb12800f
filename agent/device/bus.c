/* SPDX-License-Identifier: Apache-2.0 */
/* The table of buses. */
#include "agent/device/bus.h"

#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

static const struct device_bus buses[] = {
	{ .name = "blk", .kind = &device_pci_disk, .by_node = true, .by_id = true },
	{ .name = "blk-ccw", .kind = &device_ccw, .by_id = true },
	{ .name = "mmioblk", .kind = &device_mmio, .by_node = true },
	{ .name = "nvdimm", .by_node = true },
	{ .name = "scsi", .kind = &device_scsi, .by_node = true, .by_id = true },
};

const struct device_bus *
device_bus(size_t i)
{
	return i < ARRAY_LEN(buses) ? &buses[i] : NULL;
}

const struct device_bus *
device_bus_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(buses); i++)
		if (strcmp(buses[i].name, name) == 0)
			return &buses[i];
	return NULL;
}

int
device_address_parse(const struct device_kind *kind, const char *text, struct device_address *out,
		     struct error *err)
{
	*out = (struct device_address){ .kind = kind };
	if ((size_t)snprintf(out->text, sizeof(out->text), "%s", text) >= sizeof(out->text))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid address \"%.64s...\" of a %s: too long", text,
				 kind->what);
	return kind->parse(text, out, err);
}

int
device_bus_parse(const struct device_bus *bus, const char *text, struct device_address *out,
		 struct error *err)
{
	bool is_node = !bus->kind || (bus->by_node && text[0] == '/');

	return device_address_parse(is_node ? &device_node : bus->kind, text, out, err);
}
