/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay over the pause bundle, whose root may be read-only. */
#include "agent/storage/image_pause.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "agent/storage/image_request.h"
#include "agent/storage/image_work.h"
#include "lib/cleanup.h"
#include "lib/path.h"

#define UPPER_SIZE "16m"

/* The mount and what its finish needs. */
struct image_pause {
	/* Must be first. */
	struct storage_mount mount;
	struct image_work *work;
};

/* The overlay has its layers: their directory is no longer needed. */
static int
image_pause_finish(const struct storage_mount *m, int tree, struct error *err)
{
	const struct image_pause *p = (const struct image_pause *)m;

	(void)tree;
	return image_work_end(p->work, err);
}

static int
image_pause_overlay(struct image_work *k, int lower, struct error *err)
{
	char name[64], layers[3][80];
	const char *const options[] = { layers[0], layers[1], layers[2], NULL };
	const struct storage_source source = { .name = "overlay",
					       .type = "overlay",
					       .extra = options };
	struct image_pause p = { .mount = *k->m, .work = k };
	auto_close int upper = image_work_mkdir(k, "upper", 0755, err);
	auto_close int work = upper < 0 ? -1 : image_work_mkdir(k, "work", 0755, err);

	if (work < 0)
		return -1;
	(void)snprintf(layers[0], sizeof(layers[0]), "lowerdir=%s", path_of_fd(lower, name));
	(void)snprintf(layers[1], sizeof(layers[1]), "upperdir=%s", path_of_fd(upper, name));
	(void)snprintf(layers[2], sizeof(layers[2]), "workdir=%s", path_of_fd(work, name));
	return storage_mount_common(k->w, &p.mount, &source, image_pause_finish, err);
}

int
image_pause_mount(struct worker *w, const struct storage_mount *m, struct error *err)
{
	auto_close int lower = roots_open_path(m->roots, IMAGE_PAUSE_BUNDLE "/rootfs");
	struct image_work work;
	int r;

	if (lower < 0)
		return error_sys_code(
			err, errno == ENOENT ? ERROR_FAILED_PRECONDITION : ERROR_INTERNAL,
			"the guest's image has no pause image: failed to open " IMAGE_PAUSE_BUNDLE
			"/rootfs");
	r = image_work_begin(&work, w, m, UPPER_SIZE, err);
	if (r == 0)
		r = image_pause_overlay(&work, lower, err);
	image_work_release(&work);
	return r;
}
