/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with one container, as used by `run` and `boot`. Blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ctl/commands/options.h"
#include "ctl/vm/timeline.h"
#include "ctl/vm/vm.h"

#define SINGLE_VM_CONTAINER "main"

struct single_vm {
	struct vm vm;
	struct timeline timeline;
	struct ttrpc_client *client;
	/* the VM's directory keeps the request that created the container */
	bool is_recorded;
	/* The VM is ended without calls to the agent. */
	bool is_hurried;
};

/* Blocks INT, TERM, HUP, QUIT and ALRM until a session reads them or single_vm_start() is
 * interrupted by one; ignores PIPE. Call before anything else. */
void single_vm_block_signals(void);

/* Boots the VM in directory `dir` (NULL: a temporary one), creates the sandbox and the container
 * and starts it. On failure, nothing is left, and the end of the guest's console is printed if
 * the agent did not answer. */
int single_vm_start(struct single_vm *p, struct run_options *o, const char *dir, struct error *err);

/* Removes the container, powers the guest off, waits for it and removes the VM. */
void single_vm_stop(struct single_vm *p);
