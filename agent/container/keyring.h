/* SPDX-License-Identifier: Apache-2.0 */
/* A container's session keyring (keyrings(7)): its own from its first process on, never the agent's. */
#pragma once

#include "lib/error.h"

/* Makes or joins the keyring "_ses.<id>.<init>" of the caller's user namespace, and lets its owner search it, so that more
 * processes of the container find it by name. init: the pid of the container's first process in the guest, so that
 * another container of this id does not find it. A kernel without keyrings is success. */
int keyring_join(const char *id, int init, struct error *err);
