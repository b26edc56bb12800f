/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with one container in it: what `run` and `boot` both do. Blocks. */
#pragma once

#include <stdint.h>

#include "ctl/options.h"
#include "ctl/timeline.h"
#include "ctl/vm/vm.h"

#define SINGLE_VM_CONTAINER "main"

struct single_vm {
	struct vm vm;
	struct timeline timeline;
	struct ttrpc_client *client;
};

/* Call first: INT, TERM, HUP and ALRM wait until a session takes them, or end single_vm_start() early; PIPE is ignored. */
void single_vm_block_signals(void);

/* Boots the VM in directory `dir` (NULL: a temporary one), makes sandbox and container, starts it. On failure nothing is
 * left, and err has the end of the guest's console if it says why. */
int single_vm_start(struct single_vm *p, struct run_options *o, const char *dir, struct error *err);

/* Removes the container, powers the guest off, waits for that, removes everything. */
void single_vm_stop(struct single_vm *p);
