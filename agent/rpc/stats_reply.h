/* SPDX-License-Identifier: Apache-2.0 */
/* The reply of StatsContainer, in the terms that hosts know: both generations of names of the memory counters. */
#pragma once

#include <stdbool.h>

#include "agent.pb-c.h"
#include "agent/cgroup/stats.h"
#include "lib/arena.h"

/* Fills in `response`, whose memory is the arena's. False: memory is out. */
bool stats_reply(const struct stats *stats, struct arena *arena,
		 Grpc__StatsContainerResponse *response);
