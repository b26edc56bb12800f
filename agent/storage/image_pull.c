/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_guest_pull: the root of a container from an image that the guest pulls itself. The pod's
 * sandbox container gets the guest's own pause image.
 */
#include <errno.h>
#include <string.h>

#include "agent/storage/driver.h"
#include "agent/storage/image_hub.h"
#include "agent/storage/image_pause.h"
#include "agent/storage/image_request.h"
#include "agent/storage/image_tools.h"
#include "agent/storage/image_work.h"
#include "agent/storage/mount_point.h"
#include "lib/cleanup.h"

/* Of all memory, for the image's layers and root together. */
#define IMAGE_SIZE "50%"

static int
image_pull_check(const struct storage_spec *spec, struct error *err)
{
	struct image_source source;

	if (!image_request_has_metadata(spec))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: " IMAGE_PULL_DRIVER
				 " requires the driver option " IMAGE_PULL_DRIVER
				 "={\"metadata\":{...}}",
				 spec->mount_point);
	if (!image_request_is_pause(spec) && !image_request_parse(spec->source, &source))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid image reference \"%.128s\"",
				 spec->mount_point, spec->source);
	return 0;
}

/* Pulls the image. Returns the directory of its root (O_PATH), or -1 and err. */
static int
image_pull_fetch(const struct image_work *k, struct error *err)
{
	struct image_source source = { 0 };
	auto_close int hub = -1;

	(void)image_request_parse(k->m->spec->source, &source);
	if (!source.layout) {
		/* A hub that fails is not replaced: its policy would be circumvented. */
		hub = image_hub_open(k->m->roots);
		if (hub >= 0)
			return image_hub_pull(k, hub, err);
		if (errno != ENOENT)
			return error_sys(err, "failed to open the socket of the confidential "
					      "data hub");
	}
	return image_tools_pull(k, &source, err);
}

/* Mounts the root, and ends the work. */
static int
image_pull_attach(struct image_work *k, int root, struct error *err)
{
	const struct storage_mount *m = k->m;
	struct storage_place place = STORAGE_PLACE_NONE;
	auto_close int tree = -1;
	int r = -1;

	if (storage_place_make(k->w, m, false, &place, err) < 0)
		goto out;
	tree = storage_bind_at(k->w, m, &place, root, 0, err);
	if (tree < 0 || (m->spec->has_fs_group && storage_apply_fs_group(m, tree, err) < 0) ||
	    image_work_end(k, err) < 0)
		goto out;
	r = storage_place_keep(k->w, &place, tree, err);
out:
	storage_place_release(&place);
	return r;
}

static int
image_pull_mount(struct worker *w, const struct storage_mount *m, struct error *err)
{
	struct image_work work;
	auto_close int root = -1;
	int r = -1;

	if (image_request_is_pause(m->spec))
		return image_pause_mount(w, m, err);
	if (image_work_begin(&work, w, m, IMAGE_SIZE, err) == 0)
		root = image_pull_fetch(&work, err);
	if (root >= 0)
		r = image_pull_attach(&work, root, err);
	image_work_release(&work);
	return r;
}

const struct storage_driver storage_image_pull = {
	.name = IMAGE_PULL_DRIVER,
	.is_pull = true,
	.check = image_pull_check,
	.mount = image_pull_mount,
};
