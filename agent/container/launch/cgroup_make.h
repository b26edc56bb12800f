/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup of a new container, with everything that is in force there. Worker only: may block. */
#pragma once

#include "agent/container/launch/params.h"
#include "lib/error.h"

struct worker;

/* Makes it, with limits and device rules, and tells the agent (LAUNCH_MSG_CGROUP). *out is an fd
 * of it for the clone, or
 * -1 if the guest has no cgroups. */
int cgroup_make(struct worker *w, const struct launch *l, int *out, struct error *err);
