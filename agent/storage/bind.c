/* SPDX-License-Identifier: Apache-2.0 */
/* bind: attaches a file or directory of the guest at mount_point as well. */
#include "agent/storage/driver.h"

static int
bind_check(const struct storage_spec *spec, struct error *err)
{
	if (spec->source[0] != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid bind source \"%.128s\": not an absolute path",
				 spec->mount_point, spec->source);
	return 0;
}

static int
mount_bind(struct worker *w, const struct storage_mount *m, struct error *err)
{
	static const char *const plain[] = { "bind", NULL };
	const struct storage_source source = {
		.name = m->spec->source,
		.type = "bind",
		.extra = plain,
	};

	return storage_mount_common(w, m, &source, NULL, err);
}

const struct storage_driver storage_bind = {
	.name = "bind",
	.check = bind_check,
	.mount = mount_bind,
};
