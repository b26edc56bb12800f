/* SPDX-License-Identifier: Apache-2.0 */
/* Creation of a container's cgroup, with limits and device rules. Worker only: may block. */
#pragma once

#include "agent/container/launch/params.h"
#include "lib/error.h"

struct worker;

/* Makes the cgroup with limits and device rules, and reports it to the agent
 * (LAUNCH_MSG_CGROUP). Journals its steps. Returns 0 with the cgroup's fd in *out, which the
 * caller owns, or -1 and err. *out is unchanged if the guest has no cgroups. */
int cgroup_make(struct worker *w, const struct launch *l, int *out, struct error *err);
