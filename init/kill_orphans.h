/* SPDX-License-Identifier: Apache-2.0 */
/* Clean-up of processes that outlive the agent, for `tatami supervise`. */
#pragma once

#include <stdint.h>

struct children;

/* Kills and reaps all children of the caller, and their children as they are reparented, and adds
 * their number to *reaped. Times out after 2 s: processes that hang in the kernel end with the VM.
 * SIGCHLD must be blocked. */
void kill_orphans(struct children *known, uint64_t *reaped);
