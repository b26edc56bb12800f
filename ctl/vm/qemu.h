/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line for the described VM. Pure. */
#pragma once

#include "ctl/vm/spawn.h"
#include "ctl/vm/vm_options.h"

/* Parts of the command line that are not options of the VM. */
struct qemu_parts {
	/* path of QEMU */
	const char *qemu;
	/* "kvm" or "tcg" */
	const char *accel;
	/* directory of the sockets */
	const char *dir;
	/* initrd to boot, NULL with a root image */
	const char *initrd;
	unsigned int vsock_cid;
	/* fd of /dev/vhost-vsock, or -1 to use vhost-device-vsock's socket dir/vhost.sock */
	int vhost_fd;
};

/* Writes the i-th share's mount tag, or address of the disk as in Storage.source of the protocol:
 * a PCI slot, SCSI address, or the node of memory or of a disk on virtio-mmio. */
void qemu_share_tag(const struct vm_options *o, unsigned int i, char *out, size_t size);

/* Returns whether a share is a disk that QEMU's command line leaves out (late_disks). */
bool qemu_is_late(const struct vm_options *o, const struct vm_share *s);

/* Writes the PCI path of a device in the k-th root port for hot-plugging. */
void qemu_port_path(unsigned int k, char *out, size_t size);

void qemu_argv(struct argv *a, const struct vm_options *o, const struct qemu_parts *p);

/* Writes the kernel command line for this accelerator. */
void qemu_append(char *out, size_t size, const struct vm_options *o, const char *accel);
