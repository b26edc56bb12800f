/* SPDX-License-Identifier: Apache-2.0 */
/* What `tatami supervise` does about processes that outlived the agent. */
#pragma once

#include <stdint.h>

struct children;

/* Kills all children of the caller, and theirs as they become ours, and reaps them, counting into *reaped.
 * Gives up after 2 s: what hangs in the kernel dies with the VM. SIGCHLD must be blocked. */
void kill_orphans(struct children *known, uint64_t *reaped);
