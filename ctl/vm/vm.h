/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM and the helper programs of its devices, as children of this process. Everything that is started here is
 * killed and removed by vm_stop(), and by the kernel if this process dies (PR_SET_PDEATHSIG). May block.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctl/vm/vm_options.h"
#include "lib/error.h"

enum vm_child {
	VM_QEMU,
	VM_VSOCK,
	VM_VIRTIOFSD, /* the first of them */
	VM_CHILDREN = VM_VIRTIOFSD + VM_SHARES_MAX,
};

struct vm {
	char dir[PATH_MAX];     /* private directory of sockets and logs; removed by vm_stop */
	char address[256];      /* of the agent, as lib/ttrpc/address.h takes it */
	char console[PATH_MAX]; /* file with what the guest's console printed */
	pid_t children[VM_CHILDREN];
	unsigned int n_children;
	uint64_t started_ns; /* monotonic */
	int lock;            /* of a temporary directory, -1 else */
};

/* Makes the directory (mode 0700) `dir`, or a temporary one if NULL, starts everything, and returns once QEMU runs.
 * On failure nothing is left. */
int vm_start(struct vm *vm, struct vm_options *options, const char *dir, struct error *err);

/* Has the VM ended? Reaps. exit_text (may be NULL) gets the reason. Never blocks. */
bool vm_has_ended(struct vm *vm, char *exit_text, size_t size);

/* A pidfd of QEMU for a poll loop, -1 if it cannot be had. The caller's. */
int vm_pidfd(const struct vm *vm);

/* Waits up to grace_ms for the guest to power off, then kills everything, reaps it and removes the directory. */
void vm_stop(struct vm *vm, int grace_ms);

/* The last lines of the guest's console, for error messages. */
void vm_console_tail(const struct vm *vm, char *out, size_t size);
