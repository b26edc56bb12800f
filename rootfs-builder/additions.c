/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of an image that single options ask for. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/layout.h"

static int add_path(struct build *build, const char *value, struct error *err);
static int add_owner(struct build *build, const char *value, struct error *err);

const struct addition_kind additions[] = {
	{ "add", "SRC:DST[:MODE[:UID:GID]]", "add a file or directory of this machine", add_path },
	{ "owner", "UID:GID:PATH", "set the owner of one path", add_owner },
	{ NULL, NULL, NULL, NULL },
};

/* "SRC:DST[:MODE[:UID:GID]]": a directory's content is added below DST. */
static int
add_path(struct build *build, const char *value, struct error *err)
{
	auto_free char *copy = strdup(value);
	char *rest = copy, *field[5];
	uint32_t mode = 0, uid = 0, gid = 0;
	size_t n = 0;
	struct stat st;

	if (!copy)
		return error_nomem(err, "adding a file");
	while (n < ARRAY_LEN(field) && rest)
		field[n++] = strsep(&rest, ":");
	if (n < 2 || n == 4 || rest || !*field[0] || !*field[1] ||
	    (n > 2 && *field[2] && (!parse_octal(field[2], &mode) || mode > 07777)) ||
	    (n > 4 && (!parse_u32(field[3], &uid) || !parse_u32(field[4], &gid))))
		return error_set(err, ERROR_INVALID_ARGUMENT, "not SRC:DST[:MODE[:UID:GID]]");
	if (stat(field[0], &st) < 0)
		return error_sys_code(err, ERROR_NOT_FOUND, "failed to stat %s", field[0]);
	if (S_ISDIR(st.st_mode))
		return image_add_tree_at(&build->image, field[0], field[1],
					 build->spec->keep_owners, err);
	if (image_add_file(&build->image, field[1], n > 2 && *field[2] ? mode : st.st_mode,
			   field[0], err) < 0)
		return -1;
	return n > 4 ? image_set_owner(&build->image, field[1], uid, gid, err) : 0;
}

static int
add_owner(struct build *build, const char *value, struct error *err)
{
	return layout_set_owner(&build->image, value, err);
}
