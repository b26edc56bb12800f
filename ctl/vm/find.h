/* SPDX-License-Identifier: Apache-2.0 */
/* Locates programs, kernel and initrd on the host; tests whether KVM works. May block. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ctl/vm/vm_options.h"
#include "lib/error.h"

/* Finds a helper program next to tatamictl, in libexec/ there, in $PATH, or in the usual libexec
 * directories. */
int find_program(const char *name, char *out, size_t size, struct error *err);

/*
 * Finds a virtiofsd that can be used: `given`, or the first of the places of find_program(). QEMU's
 * old C program of that name is recognised by its version and passed over. Starts each candidate
 * with --version. Returns -1 and err (NOT_FOUND) if there is none, which names what was found.
 */
int find_virtiofsd(const char *given, char *out, size_t size, struct error *err);

/* Finds a guest file (vmlinuz, initrd.img, tatami) next to tatamictl, in ../lib/tatami from there,
 * or in /usr/lib/tatami. */
int find_guest_file(const char *name, char *out, size_t size, struct error *err);

/* The accelerator of a VM. */
struct find_accel {
	/* "kvm" or "tcg" */
	const char *name;
	/* the reason for not using KVM, or "" */
	char why[256];
	/* a trial boot was made, now or earlier */
	bool was_tried;
};

/* Finds out whether KVM can be used: it is if a trial boot of this kernel succeeds. An openable
 * /dev/kvm is not sufficient. Success is remembered until this machine boots again, failure as well
 * unless QEMU or kernel are others; with `again`, nothing that was remembered counts. */
void find_accel(enum vm_arch arch, const char *qemu, const char *kernel, const char *initrd,
		bool again, struct find_accel *out);

/* Returns whether this process could make a user namespace, which the sandboxes of passt and
 * virtiofsd need. A chroot refuses it, and so do some security policies. Otherwise sets err. */
bool find_user_namespace(struct error *err);

/* Stores the architecture of this name, which is that of uname(1). Returns whether it is known. */
bool find_arch(const char *name, enum vm_arch *out);

/* Returns the name of an architecture. */
const char *find_arch_name(enum vm_arch arch);

/* Returns the architecture of a kernel image, by its header; that of this machine for an image that
 * does not tell. */
enum vm_arch find_kernel_arch(const char *kernel);

/* Returns the type of the file system in an image ("ext4", "xfs", "erofs", "squashfs"), or NULL
 * and err if it is unknown. */
const char *find_fstype(const char *image, struct error *err);
