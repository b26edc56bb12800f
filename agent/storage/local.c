/* SPDX-License-Identifier: Apache-2.0 */
/* local: a directory of the pod on the file system at mount_point; it lives as long as the
 * sandbox. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/driver.h"
#include "agent/storage/mount_point.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "lib/path.h"

static int
local_check(const struct storage_spec *spec, struct error *err)
{
	const char *mode = storage_option(spec, "mode"), *gid = storage_option(spec, "fsgid");
	uint32_t v;

	if (mode && (!parse_octal(mode, &v) || v > 07777))
		return error_set(err, ERROR_INVALID_ARGUMENT, "storage %s: invalid mode \"%.32s\"",
				 spec->mount_point, mode);
	if (gid && !parse_u32(gid, &v))
		return error_set(err, ERROR_INVALID_ARGUMENT, "storage %s: invalid fsgid \"%.32s\"",
				 spec->mount_point, gid);
	return 0;
}

/* Sets the directory's mode and group. */
static int
set_owner(const struct storage_mount *m, int fd, struct error *err)
{
	const char *mode_text = storage_option(m->spec, "mode");
	const char *gid_text = storage_option(m->spec, "fsgid");
	uint32_t mode = 0755, gid = 0;
	char name[64];

	if (gid_text && parse_u32(gid_text, &gid) &&
	    fchownat(fd, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0)
		return error_sys(err, "failed to change the group of %s to %u",
				 m->spec->mount_point, gid);
	if (mode_text)
		(void)parse_octal(mode_text, &mode);
	if (gid_text)
		mode |= S_ISGID;
	if ((mode_text || gid_text) && chmod(path_of_fd(fd, name), mode) < 0)
		return error_sys(err, "failed to set mode %o of %s", mode, m->spec->mount_point);
	return 0;
}

static int
make_local(struct worker *w, const struct storage_mount *m, struct error *err)
{
	struct storage_place place;
	int r = storage_place_make(w, m, false, &place, err);

	if (r == 0)
		r = set_owner(m, place.fd, err);
	if (r == 0)
		r = storage_place_keep(w, &place, -1, err);
	storage_place_release(&place);
	return r;
}

const struct storage_driver storage_local = {
	.name = "local",
	.pod_lifetime = true,
	.check = local_check,
	.mount = make_local,
};
