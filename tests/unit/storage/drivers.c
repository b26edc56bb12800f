/* SPDX-License-Identifier: Apache-2.0 */
/* The table of drivers with one more: "gate", see bench.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/storage/driver.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"

extern const struct storage_driver storage_9p, storage_bind, storage_blk, storage_ephemeral,
	storage_local, storage_virtiofs;

/* source is a FIFO. Says that it is there by making the mount point. */
static int
mount_gate(struct worker *w, const struct storage_mount *m, struct error *err)
{
	auto_close int point = storage_make_point(w, m, false, err);
	auto_close int gate = -1;
	struct undo undo = { .kind = UNDO_UMOUNT };
	char go = 0;

	if (point < 0)
		return -1;
	undo.below = sys_mount_id(point, "", AT_EMPTY_PATH);
	(void)snprintf(undo.path, sizeof(undo.path), "%s", m->spec->mount_point);
	if (undo.below < 0 || worker_step(w, &undo, err) < 0)
		return error_sys(err, "announce");
	gate = open(m->spec->source, O_RDONLY | O_CLOEXEC);
	if (gate < 0 || read_full(gate, &go, 1) != 1)
		return error_sys(err, "read %s", m->spec->source);
	if (go == 'f')
		return error_set(err, ERROR_UNAVAILABLE, "told to fail");
	if (mount("gate", m->spec->mount_point, "tmpfs", 0, NULL) < 0)
		return error_sys(err, "mount");
	return 0;
}

static const struct storage_driver storage_gate = {
	.name = "gate",
	.mounts = true,
	.mount = mount_gate,
};

static const struct storage_driver *const drivers[] = {
	&storage_9p,    &storage_bind,     &storage_blk,  &storage_ephemeral,
	&storage_local, &storage_virtiofs, &storage_gate,
};

const struct storage_driver *
storage_driver_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}

const char *
storage_driver_name(size_t i)
{
	return i < ARRAY_LEN(drivers) ? drivers[i]->name : NULL;
}
