/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs: nothing, and a directory of this machine. */
#include <stddef.h>
#include <sys/stat.h>

#include "rootfs-builder/build.h"

static int
none_read(struct build *build, const char *source, struct error *err)
{
	(void)build;
	(void)source;
	(void)err;
	return 0;
}

const struct input_kind input_none = {
	.name = "none",
	.help = "nothing: the image has our program only (the default)",
	.has_no_source = true,
	.read = none_read,
};

static bool
dir_recognizes(const char *source)
{
	struct stat st;

	return stat(source, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
dir_read(struct build *build, const char *source, struct error *err)
{
	return image_add_tree(&build->image, source, build->spec->keep_owners, err);
}

const struct input_kind input_dir = {
	.name = "dir",
	.help = "a directory; its files are owned by root unless --keep-owners is given",
	.recognizes = dir_recognizes,
	.read = dir_read,
};
