/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM in the background: a monitor process starts it, runs until `tatamictl stop` (SIGALRM) or the
 * VM's end, and removes it. Blocks until the VM is up.
 */
#pragma once

#include "ctl/vm/state.h"
#include "ctl/vm/vm.h"
#include "lib/error.h"

/* Callbacks of a background VM. All run in the monitor, which has blocked the signals of
 * single_vm_block_signals(). */
struct background {
	/* Boots the VM in directory `dir`; on failure, nothing is left. */
	int (*start)(void *self, const char *dir, struct error *err);
	/* Returns the VM once it is started. */
	struct vm *(*vm)(void *self);
	/* Sets name, rootfs and command for `tatamictl ps`; the rest is already filled in. */
	void (*describe)(void *self, struct vm_state *state);
	/* Runs until the VM ends or stop_fd becomes readable. */
	void (*look_after)(void *self, int stop_fd);
	void (*stop)(void *self);
	void *self;
	/* Sets exit_code and error of the state after look_after(); NULL: the code is that of the
	 * containers' records, and a VM that failed is an error. */
	void (*finish)(void *self, struct vm_state *state);
	/* nothing is kept of the VM after its end */
	bool removes;
};

/* Sets exit_code and error of the state as without finish(): the first exit code of a container
 * that is not 0, or the failure of the VM. */
void background_finish(struct vm *vm, struct vm_state *state);

/* Starts the monitor, which creates `dir`. Returns 0 once the VM is up, or -1 and err (EEXIST:
 * the name is in use). */
int background_start(const struct background *b, const char *dir, struct error *err);
