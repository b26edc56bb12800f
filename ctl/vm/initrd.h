/* SPDX-License-Identifier: Apache-2.0 */
/* An initrd with a different agent. May block. */
#pragma once

#include "lib/error.h"

/* Writes to `output` the initrd `base` followed by a segment with `agent` at /usr/bin/kata-agent
 * and the static binary `init` at /init (the kernel unpacks concatenated archives in order, and
 * later files replace earlier ones). */
int initrd_with_agent(const char *arch, const char *base, const char *init, const char *agent,
		      const char *output, struct error *err);
