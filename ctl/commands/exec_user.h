/* SPDX-License-Identifier: Apache-2.0 */
/* The user of a process that is added to a running container. Blocks. */
#pragma once

#include "ctl/image/account.h"
#include "ctl/vm/state.h"
#include "lib/error.h"

struct ttrpc_client;

/*
 * Finds "USER[:GROUP]", each a name or a number, in the container's /etc/passwd and /etc/group: as
 * they are now, read by the container's own cat; without that, as its root on the host has them.
 * timeout_ms is the time for the reply to each call. Nothing is looked up for two numbers. Returns
 * 0, or -1 and err: NOT_FOUND for an unknown name, INVALID_ARGUMENT where names cannot be looked
 * up.
 */
int exec_user_find(struct ttrpc_client *client, const struct vm_state *state, const char *container,
		   const char *text, int timeout_ms, struct account *out, struct error *err);
