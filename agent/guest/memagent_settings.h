/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the memory agent. Plain data. The names are those of the protocol. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct memagent_reclaim {
	bool disabled;
	/* reclaim anonymous memory, too, if there is swap */
	bool swap;
	/* 0 to 200 */
	uint32_t swappiness_max;
	uint64_t period_secs;
	/* a container that was stalled for a larger share of the period is skipped */
	uint32_t period_psi_percent_limit;
	/* reclaim stops when it stalls the container for a larger share of the time */
	uint32_t eviction_psi_percent_limit;
	/* quiet periods before memory is reclaimed */
	uint64_t eviction_run_aging_count_min;
};

struct memagent_compact {
	bool disabled;
	uint64_t period_secs;
	/* compaction is skipped if the guest was stalled for a larger share of the period */
	uint32_t period_psi_percent_limit;
	/* compaction stops when it stalls the guest for a larger share of the time */
	uint32_t compact_psi_percent_limit;
	int64_t compact_sec_max;
	/* free blocks of fewer than 2^order pages are fragments */
	uint32_t compact_order;
	/* compaction starts when there are so many more pages in fragments */
	uint64_t compact_threshold;
	/* compaction starts after so many periods in any case */
	uint64_t compact_force_times;
};
