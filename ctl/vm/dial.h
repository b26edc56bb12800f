/* SPDX-License-Identifier: Apache-2.0 */
/* Getting through to the agent of a VM that is booting. */
#pragma once

#include "ctl/vm/vm.h"
#include "lib/error.h"

struct ttrpc_client;

/*
 * Waits until the guest's console says that the agent listens (or long enough, if it says nothing), connects, and has a
 * Check answered. The caller frees the client. NULL and err: UNAVAILABLE the VM ended, CANCELLED one of the signals of
 * single_vm_block_signals() is pending, DEADLINE_EXCEEDED after timeout_ms. Blocks.
 */
struct ttrpc_client *dial_agent(struct vm *vm, int timeout_ms, struct error *err);
