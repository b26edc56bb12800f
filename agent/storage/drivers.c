/* SPDX-License-Identifier: Apache-2.0 */
/* The table of storage drivers: a new driver is one more row. The buses that disks are on have
 * their rows in agent/device/bus.c. */
#include <string.h>

#include "agent/device/bus.h"
#include "agent/storage/driver.h"
#include "agent/storage/layers.h"
#include "agent/storage/storage.h"
#include "agent/storage/watchable.h"
#include "lib/cleanup.h"

extern const struct storage_driver storage_9p, storage_disk, storage_ephemeral, storage_image_pull,
	storage_local, storage_overlayfs, storage_virtiofs;

static const struct storage_driver *const drivers[] = {
	&storage_9p,         &storage_bind,  &storage_ephemeral, &storage_layers_driver,
	&storage_image_pull, &storage_local, &storage_overlayfs, &storage_virtiofs,
	&storage_watchable,
};

const struct storage_driver *
storage_driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	if (device_bus_find(name))
		return &storage_disk;
	/* An internal driver, not listed to peers. */
	if (strcmp(storage_watchable_tmpfs.name, name) == 0)
		return &storage_watchable_tmpfs;
	return NULL;
}

const char *
storage_driver_name(size_t i)
{
	const struct device_bus *bus;

	if (i < ARRAY_LEN(drivers))
		return drivers[i]->name;
	bus = device_bus(i - ARRAY_LEN(drivers));
	return bus ? bus->name : NULL;
}
