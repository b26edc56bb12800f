/* SPDX-License-Identifier: Apache-2.0 */
/* An initrd with another agent than ours. May block. */
#pragma once

#include "lib/error.h"

/* Writes to `output` the initrd `base` followed by a segment that puts `agent` at /usr/bin/kata-agent and our
 * `init` at /init (the kernel unpacks concatenated archives in order, later files win). */
int initrd_with_agent(const char *base, const char *init, const char *agent, const char *output,
		      struct error *err);
