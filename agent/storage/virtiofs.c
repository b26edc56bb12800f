/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-fs: a directory of the host that virtiofsd serves; the source is its tag. */
#include "agent/storage/driver.h"

static int
virtiofs_check(const struct storage_spec *spec, struct error *err)
{
	if (!*spec->source)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"storage %s: virtio-fs requires the tag of the share as its source",
			spec->mount_point);
	return 0;
}

static int
mount_virtiofs(struct worker *w, const struct storage_mount *m, struct error *err)
{
	const struct storage_source source = {
		.name = m->spec->source,
		.type = *m->spec->fstype ? m->spec->fstype : "virtiofs",
	};

	return storage_mount_common(w, m, &source, NULL, err);
}

const struct storage_driver storage_virtiofs = {
	.name = "virtio-fs",
	.check = virtiofs_check,
	.mount = mount_virtiofs,
};
