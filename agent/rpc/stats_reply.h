/* SPDX-License-Identifier: Apache-2.0 */
/* The reply of StatsContainer as hosts expect it, with the names of memory counters of both cgroup
 * versions. */
#pragma once

#include <stdbool.h>

#include "agent.pb-c.h"
#include "agent/cgroup/stats.h"
#include "lib/arena.h"

/* Fills in `response`, allocating from the arena. Returns false if out of memory. */
bool stats_reply(const struct stats *stats, struct arena *arena,
		 Grpc__StatsContainerResponse *response);
