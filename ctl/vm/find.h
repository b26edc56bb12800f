/* SPDX-License-Identifier: Apache-2.0 */
/* Where things are on the host: programs, kernel and initrd; whether KVM works. May block. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

/* A helper program: beside ourselves in libexec/, in $PATH, in the usual libexec directories. */
int find_program(const char *name, char *out, size_t size, struct error *err);

/* A file of the guest (vmlinuz, initrd.img, tatami): beside ourselves, else in /usr/share/tatami. */
int find_guest_file(const char *name, char *out, size_t size, struct error *err);

/* "kvm" if a trial showed that it boots this kernel, else "tcg". A /dev/kvm that only opens is not enough. The
 * answer is remembered for this machine boot in the user's cache directory. */
const char *find_accel(const char *qemu, const char *kernel, const char *initrd);

/* The type of the file system in an image ("ext4", "xfs", "erofs", "squashfs"), NULL and err if none is known. */
const char *find_fstype(const char *image, struct error *err);
