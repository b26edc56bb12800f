/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM that goes on by itself: a monitor process of ours starts it, looks after it until `tatamictl stop` (SIGALRM) or its
 * end, and removes it. Blocks until it is up.
 */
#pragma once

#include "ctl/vm/state.h"
#include "ctl/vm/vm.h"
#include "lib/error.h"

/* What is looked after. Everything is called in the monitor, which has blocked the signals of single_vm_block_signals(). */
struct background {
	/* Boots it in directory `dir`; on failure nothing is left. */
	int (*start)(void *self, const char *dir, struct error *err);
	/* The VM, once it is started. */
	const struct vm *(*vm)(void *self);
	/* Name, rootfs and command for `tatamictl ps`; the rest is filled in already. */
	void (*describe)(void *self, struct vm_state *state);
	/* Returns when it is to end: stop_fd is readable once somebody wants that. */
	void (*look_after)(void *self, int stop_fd);
	void (*stop)(void *self);
	void *self;
};

/* Starts the monitor, which makes `dir`. 0 when it is up; -1 and err (EEXIST: there is one of this name). */
int background_start(const struct background *b, const char *dir, struct error *err);
