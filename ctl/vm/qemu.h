/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line, from what the VM shall be. Pure: touches nothing. */
#pragma once

#include "ctl/vm/spawn.h"
#include "ctl/vm/vm_options.h"

/* What the command line names besides the options. */
struct qemu_parts {
	const char *qemu;   /* program */
	const char *accel;  /* "kvm" or "tcg" */
	const char *dir;    /* where the sockets are */
	const char *initrd; /* the one to use, NULL with a root image */
	unsigned int vsock_cid;
	int vhost_fd; /* of /dev/vhost-vsock, -1: vhost-device-vsock's socket dir/vhost.sock */
};

/* The PCI slot of the i-th share (as the guest's Storage.source writes it, in hex). */
unsigned int qemu_share_slot(unsigned int i);

void qemu_argv(struct argv *a, const struct vm_options *o, const struct qemu_parts *p);

/* The kernel command line. */
void qemu_append(char *out, size_t size, const struct vm_options *o);
