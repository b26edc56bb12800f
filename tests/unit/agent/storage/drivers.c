/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers with two more: "gate", see bench.h, and "copy". */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/device/bus.h"
#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "agent/storage/mount_point.h"
#include "agent/storage/storage.h"
#include "agent/storage/tree.h"
#include "agent/storage/watchable.h"
#include "lib/cleanup.h"
#include "lib/io.h"

extern const struct storage_driver storage_9p, storage_disk, storage_ephemeral, storage_image_pull,
	storage_local, storage_overlayfs, storage_virtiofs;

/* source is a FIFO. Says that it is there by making the mount point. */
static int
mount_gate(struct worker *w, const struct storage_mount *m, struct error *err)
{
	const struct storage_fs fs = { .source = "gate", .type = "tmpfs", .data = "" };
	struct storage_place place;
	auto_close int gate = -1;
	auto_close int tree = -1;
	char go = 0;

	if (storage_place_make(w, m, false, &place, err) < 0)
		return -1;
	gate = open(m->spec->source, O_RDONLY | O_CLOEXEC);
	if (gate < 0 || read_full(gate, &go, 1) != 1)
		return error_sys(err, "read %s", m->spec->source);
	if (go == 'f')
		return error_set(err, ERROR_UNAVAILABLE, "told to fail");
	tree = storage_tree_mount(w, &fs, m->roots, err);
	if (tree < 0 || storage_place_mount(w, &place, tree, err) < 0)
		return -1;
	if (go == 'u')
		return error_set(err, ERROR_UNAVAILABLE, "told to fail once mounted");
	return storage_place_keep(w, &place, tree, err);
}

static const struct storage_driver storage_gate = {
	.name = "gate",
	.mount = mount_gate,
};

/* watchable-bind as if the source were on a share. */
static const struct storage_driver storage_copy = {
	.name = "copy",
	.mount = watchable_mount_copy,
};

static const struct storage_driver *const drivers[] = {
	&storage_9p,        &storage_bind,       &storage_copy,
	&storage_ephemeral, &storage_image_pull, &storage_local,
	&storage_overlayfs, &storage_virtiofs,   &storage_gate,
};

const struct storage_driver *
storage_driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return device_bus_find(name) ? &storage_disk : NULL;
}

const char *
storage_driver_name(size_t i)
{
	return i < ARRAY_LEN(drivers) ? drivers[i]->name : NULL;
}
