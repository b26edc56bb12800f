/* SPDX-License-Identifier: Apache-2.0 */
/* Output: a cpio archive that the kernel unpacks as its initramfs. */
#include <fcntl.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/cpio.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/verify.h"

static int
initrd_write(struct build *build, const char *to, struct error *err)
{
	const struct build_spec *spec = build->spec;
	auto_close int fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct packer *packer;
	char losses[500];
	int r;

	if (fd < 0)
		return error_sys(err, "failed to create the archive");
	if (cpio_describe_losses(&build->image, losses, sizeof(losses)))
		report_warn(build->report, "%s", losses);
	packer = packer_new(fd, pack_format_for(spec->compress, spec->machine), err);
	if (!packer)
		return -1;
	r = cpio_write(&build->image, spec->epoch, packer, err);
	if (r == 0)
		r = packer_finish(packer, NULL, NULL, err);
	packer_free(packer);
	if (r < 0)
		return -1;
	report_step(build->report, "verifying the archive");
	return verify_archive(fd, &build->image, spec->epoch, spec->machine, !spec->keep_init, err);
}

const struct output_kind output_initrd = {
	.name = "initrd",
	.help = "an initrd (cpio): see --compress",
	.write = initrd_write,
};
