/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of the memory agent. Plain data. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* As the protocol has them: hosts know these names. */
struct memagent_reclaim {
	bool disabled;
	bool swap;               /* anonymous memory, too, where there is swap */
	uint32_t swappiness_max; /* of 200 */
	uint64_t period_secs;
	uint32_t period_psi_percent_limit;     /* a container that waited longer is left alone */
	uint32_t eviction_psi_percent_limit;   /* one that is made to wait longer, too */
	uint64_t eviction_run_aging_count_min; /* quiet periods before something is taken */
};

struct memagent_compact {
	bool disabled;
	uint64_t period_secs;
	uint32_t period_psi_percent_limit;  /* the guest waited longer: not now */
	uint32_t compact_psi_percent_limit; /* it is made to wait longer: enough */
	int64_t compact_sec_max;
	uint32_t compact_order;       /* free blocks of fewer than 2^order pages are fragments */
	uint64_t compact_threshold;   /* how many more pages in fragments make it worth while */
	uint64_t compact_force_times; /* periods after which it is done all the same */
};
