/* SPDX-License-Identifier: Apache-2.0 */
/* 9p: a directory that the VMM shares over virtio; the source is its tag. */
#include "agent/storage/driver.h"

static int
p9_check(const struct storage_spec *spec, struct error *err)
{
	if (!*spec->source)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: 9p requires the tag of the share as its source",
				 spec->mount_point);
	return 0;
}

static int
mount_9p(struct worker *w, const struct storage_mount *m, struct error *err)
{
	const struct storage_source source = { .name = m->spec->source, .type = "9p" };

	return storage_mount_common(w, m, &source, NULL, err);
}

const struct storage_driver storage_9p = {
	.name = "9p",
	.check = p9_check,
	.mount = mount_9p,
};
