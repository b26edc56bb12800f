/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/initrd.h"

#include "rootfs-builder/archive/cpio.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/guest/layout.h"
#include "rootfs-builder/guest/verify.h"
#include "rootfs-builder/image/image.h"
#include "rootfs-builder/work/hostfile.h"

static int initrd_fill(const struct initrd_spec *spec, struct image *image, uint16_t machine,
		       size_t *modules, struct error *err);
static int initrd_write_out(const struct initrd_spec *spec, struct image *image, uint16_t machine,
			    struct initrd_result *result, struct error *err);

int
initrd_build(const struct initrd_spec *spec, struct initrd_result *result, struct error *err)
{
	struct initrd_result sizes = { 0 };
	struct image image = IMAGE_INIT;
	const struct arch *arch;
	int r;

	if (!spec->init || !spec->output)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "init program or output file not set");
	arch = arch_require(spec->arch, err);
	if (!arch)
		return -1;
	r = initrd_fill(spec, &image, arch->machine, &sizes.modules, err);
	if (r == 0)
		r = initrd_write_out(spec, &image, arch->machine, &sizes, err);
	sizes.entries = image.n;
	image_release(&image);
	if (r < 0)
		return error_wrap(err, "failed to create %s", spec->output);
	if (result)
		*result = sizes;
	return 0;
}

static int
initrd_fill(const struct initrd_spec *spec, struct image *image, uint16_t machine, size_t *modules,
	    struct error *err)
{
	const struct layout layout = {
		.init = spec->init,
		.agent = spec->agent,
		.keep_init = spec->keep_init,
		.machine = machine,
		.modules_dir = spec->modules_dir,
		.modules = spec->modules,
		.no_default_modules = spec->no_default_modules,
		.modules_as_is = spec->modules_as_is,
		.note = spec->note,
		.note_data = spec->note_data,
	};

	for (const char *const *tree = spec->trees; tree && *tree; tree++) {
		if (image_add_tree(image, *tree, spec->keep_owners, err) < 0)
			return -1;
	}
	if (layout_add(&layout, image, modules, err) < 0)
		return -1;
	for (const char *const *row = spec->owners; row && *row; row++) {
		if (layout_set_owner(image, *row, err) < 0)
			return -1;
	}
	return 0;
}

static int
initrd_pack(const struct initrd_spec *spec, struct image *image, uint16_t machine, int fd,
	    struct initrd_result *result, struct error *err)
{
	struct packer *packer = packer_new(fd, pack_format_for(spec->format, machine), err);
	int r;

	if (!packer)
		return -1;
	r = cpio_write(image, spec->epoch, packer, err);
	if (r == 0)
		r = packer_finish(packer, &result->raw_size, &result->size, err);
	packer_free(packer);
	return r;
}

static int
initrd_write_out(const struct initrd_spec *spec, struct image *image, uint16_t machine,
		 struct initrd_result *result, struct error *err)
{
	struct hostfile file;
	char losses[500];
	int r;

	if (spec->note && cpio_describe_losses(image, losses, sizeof(losses)))
		spec->note(losses, spec->note_data);
	if (hostfile_create(&file, spec->output, err) < 0)
		return -1;
	r = initrd_pack(spec, image, machine, file.fd, result, err);
	if (r == 0)
		r = verify_archive(file.fd, image, spec->epoch, machine, !spec->keep_init, err);
	if (r == 0 && spec->max_size && result->size > spec->max_size)
		r = error_set(err, ERROR_RESOURCE_EXHAUSTED,
			      "image of %llu bytes exceeds the limit of %llu",
			      (unsigned long long)result->size, (unsigned long long)spec->max_size);
	if (r == 0)
		r = hostfile_commit(&file, err);
	hostfile_discard(&file);
	return r;
}
