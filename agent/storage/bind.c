/* SPDX-License-Identifier: Apache-2.0 */
/* bind: a file or directory of the guest once more at mount_point. */
#include <fcntl.h>

#include "agent/storage/driver.h"
#include "lib/cleanup.h"
#include "lib/path.h"

static int
check(const struct storage_spec *spec, struct error *err)
{
	if (spec->source[0] != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: source \"%.128s\" of a bind is no absolute path",
				 spec->mount_point, spec->source);
	return 0;
}

static int
mount_bind(struct worker *w, const struct storage_mount *m, struct error *err)
{
	static const char *const plain[] = { "bind", NULL };
	char name[64];
	auto_close int fd =
		path_open(m->roots->root, m->spec->source, O_PATH, 0, PATH_FOLLOW_ALL, err);

	if (fd < 0)
		return error_wrap(err, "bind %s to %s", m->spec->source, m->spec->mount_point);
	if (storage_mount_common(w, m, path_of_fd(fd, name), "bind", plain, err) < 0)
		return error_wrap(err, "bind %s", m->spec->source);
	return 0;
}

const struct storage_driver storage_bind = {
	.name = "bind",
	.mounts = true,
	.check = check,
	.mount = mount_bind,
};
