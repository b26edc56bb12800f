/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of a VM's network card in the guest. */
#pragma once

#include "agent.pb-c.h"
#include "ctl/vm/vm_options.h"
#include "lib/arena.h"
#include "lib/error.h"

/* The agent's file with the lines of CreateSandbox. */
#define NETWORK_RESOLV_CONF "/run/kata-containers/sandbox/resolv.conf"

struct ttrpc_client;

/* Sets the addresses and default routes of the card, before the sandbox is created. Does nothing
 * without a card that is to be configured. Blocks. Returns 0, or -1 and err. */
int network_configure(struct ttrpc_client *client, const struct vm_options *vm, struct error *err);

/* Adds the name server to the request for a sandbox, unless that has some or the card is not
 * configured. Returns -1 if out of memory. */
int network_add_dns(struct arena *a, const struct vm_options *vm, Grpc__CreateSandboxRequest *r);

/* Adds the sandbox's resolv.conf to the mounts of a container, if the card is configured. Returns
 * -1 if out of memory. */
int network_add_resolv_conf(struct arena *a, const struct vm_options *vm, Grpc__Spec *spec);
