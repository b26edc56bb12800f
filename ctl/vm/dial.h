/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to the agent of a booting VM. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "ctl/vm/vm.h"
#include "lib/error.h"

struct ttrpc_client;

/*
 * Waits until the guest has a driver for its vsock device, then connects again and again until the
 * agent answers a Check call. The caller frees the client. Returns NULL and
 * err: UNAVAILABLE (the VM ended), CANCELLED (a signal of spawn_end_signals() is pending) or
 * DEADLINE_EXCEEDED (after timeout_ms). Blocks.
 */
struct ttrpc_client *dial_agent(struct vm *vm, int timeout_ms, struct error *err);

/*
 * Calls a method of the agent, and gives up when the VM ends (UNAVAILABLE, with what QEMU said) or,
 * with `interruptible`, when a signal of spawn_end_signals() is pending (CANCELLED). Otherwise as
 * ttrpc_client_call(), without the reply. Blocks.
 */
int dial_call(struct vm *vm, struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
	      const char *method, const ProtobufCMessage *request, int timeout_ms,
	      bool interruptible, struct error *err);
