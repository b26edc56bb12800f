/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM and the helper programs of its devices, as children of this process. vm_stop() kills and
 * removes everything started here; so does the kernel if this process dies (PR_SET_PDEATHSIG). May
 * block.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/vm/find.h"
#include "ctl/vm/programs.h"
#include "ctl/vm/vm_options.h"
#include "lib/error.h"

struct vm {
	/* private directory of sockets and logs, removed by vm_stop() */
	char dir[PATH_MAX];
	/* address of the agent in the format of lib/ttrpc/address.h */
	char address[256];
	/* file with the output of the guest's console */
	char console[PATH_MAX];
	struct find_accel accel;
	struct programs programs;
	/* monotonic start time of QEMU */
	uint64_t started_ns;
	/* lock fd of a temporary directory, else -1 */
	int lock;
	/* the file of the scratch disk, else -1 */
	int scratch;
	/* the end of the VM, once vm_has_ended() */
	struct error why;
	/* the disks with copies of directories, else -1 */
	int copies[VM_SHARES_MAX];
	/* the process of watcher.h, 0: none */
	pid_t watcher;
};

/* Creates the directory `dir` (mode 0700), or a temporary one if NULL, starts all programs and
 * returns once QEMU runs. On failure, nothing is left. Returns 0, or -1 and err. */
int vm_start(struct vm *vm, struct vm_options *options, const char *dir, struct error *err);

/* Plugs in the disks of a VM with late_disks, and fills in their addresses: an agent that learns of
 * disks by the kernel's events alone sees only those that come after its start. Returns 0, or -1
 * and err. */
int vm_plug_disks(struct vm *vm, struct vm_options *options, struct error *err);

/* Returns whether QEMU has ended, or a program that it cannot do without. exit_text (may be NULL)
 * receives the reason, each time. */
bool vm_has_ended(struct vm *vm, char *exit_text, size_t size);

/* As vm_has_ended(), but returns false if QEMU exited with code 0: the guest powered off. */
bool vm_has_failed(struct vm *vm, char *exit_text, size_t size);

/* As vm_has_ended(), but waits up to timeout_ms: a connection may break before the VM is gone. */
bool vm_ends_within(struct vm *vm, int timeout_ms, char *exit_text, size_t size);

/* Returns a fd for a poll loop, owned by the caller, that is readable when one of the VM's programs
 * has ended, or -1. */
int vm_end_fd(const struct vm *vm);

/* Waits up to grace_ms for the guest to power off, then kills and reaps all programs and removes
 * the directory, or of a VM that was registered (state.h) all but its records (record.h). */
void vm_stop(struct vm *vm, int grace_ms);

/* Copies the end of the guest's console output, for error messages. */
void vm_console_tail(const struct vm *vm, char *out, size_t size);
