/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "rootfs-builder/archive/pack.h"
#include "rootfs-builder/guest/elffile.h"

/* The largest modules have about 20 MiB. */
#define MODULE_MAX ((size_t)64 << 20)
#define LIST_MAX   ((size_t)1 << 20)

/* Modules of the distribution's kernel that features of the agent need. Modules that are built
 * in are skipped. */
const struct modules_default modules_defaults[] = {
	{ "virtio_pci", false, "every virtio device of QEMU's PC and virt machines" },
	{ "virtio_mmio", true, "virtio devices on machines without PCI" },
	{ "vmw_vsock_virtio_transport", false, "the agent's connection to the host" },
	{ "virtio_console", true, "console=hvc0" },
	{ "virtio_blk", false, "block volumes and root file systems" },
	{ "virtio_net", true, "the pod's network" },
	{ "virtio_rng", true, "entropy at boot" },
	{ "9pnet_virtio", true, "9p shares" },
	{ "9p", true, "9p shares" },
	{ "virtiofs", true, "virtio-fs shares" },
	{ "overlay", false, "overlay root file systems" },
	{ "ext4", false, "block volumes" },
	{ "erofs", true, "read-only layers of images" },
	{ "isofs", true, "read-only images" },
	{ NULL, false, NULL },
};

static int modules_add_one(const struct modtree *tree, const char *module, struct image *image,
			   bool as_is, uint16_t machine, char **in_image, struct error *err);
static int modules_append_line(struct buf *list, const char *path, const char *params,
			       struct error *err);

struct modtree *
modules_open(const char *dir, struct error *err)
{
	auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
			       "failed to open %s", dir);
		return NULL;
	}
	return modtree_open(fd, dir, err);
}

int
modules_add(const struct modtree *tree, struct image *image, bool as_is, uint16_t machine,
	    struct error *err)
{
	struct buf list;
	int r = 0;

	buf_init(&list, LIST_MAX);
	for (size_t i = 0; r == 0 && modtree_planned(tree, i); i++) {
		auto_free char *path = NULL;

		r = modules_add_one(tree, modtree_planned(tree, i), image, as_is, machine, &path,
				    err);
		if (r == 0)
			r = modules_append_line(&list, path, modtree_planned_params(tree, i), err);
		if (r < 0)
			error_wrap(err, "failed to add module %s", modtree_planned_name(tree, i));
	}
	if (r == 0)
		r = image_add_data(image, MODULES_LIST_PATH, 0644, buf_head(&list), buf_len(&list),
				   err);
	buf_release(&list);
	return r;
}

/* Adds one module to the image. *in_image is its path there, owned by the caller. */
static int
modules_add_one(const struct modtree *tree, const char *module, struct image *image, bool as_is,
		uint16_t machine, char **in_image, struct error *err)
{
	size_t len = strlen(module);
	auto_free char *source = NULL, *path = NULL;
	auto_free uint8_t *bytes = NULL;
	size_t n;
	int r;

	if (asprintf(&source, "%s/%s", modtree_dir(tree), module) < 0)
		return error_nomem(err, "adding a module");
	if (unpack_file(source, MODULE_MAX, &bytes, &n, err) < 0 ||
	    elf_check(source, bytes, n, machine, err) < 0)
		return -1;
	if (!as_is)
		len = len - modtree_suffix(module, len) + strlen(".ko");
	if (asprintf(&path, "/lib/modules/%s/%.*s", modtree_release(tree), (int)len, module) < 0)
		return error_nomem(err, "adding a module");
	if (as_is)
		r = image_add_file(image, path, 0644, source, err);
	else
		r = image_add_data(image, path, 0644, bytes, n, err);
	if (r == 0)
		*in_image = steal_ptr(&path);
	return r;
}

static int
modules_append_line(struct buf *list, const char *path, const char *params, struct error *err)
{
	auto_free char *line = NULL;
	int len = asprintf(&line, "%s%s%s\n", path, *params ? " " : "", params);

	if (len < 0)
		return error_nomem(err, "listing modules");
	if (len - 1 > MODULES_LINE_MAX)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"path and parameters of %d bytes exceed the %d bytes that init accepts",
			len - 1, MODULES_LINE_MAX);
	return buf_append(list, line, (size_t)len) < 0 ? error_nomem(err, "listing modules") : 0;
}
