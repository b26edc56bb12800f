/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of a soak. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Returns whether this is a soak: SOAK=1. */
static inline bool
is_soak(void)
{
	const char *soak = getenv("SOAK");

	return soak && strcmp(soak, "1") == 0;
}

/* Returns a full count, or the share of it that SOAK_PERCENT asks for. */
static inline uint64_t
soak_count(uint64_t full)
{
	const char *percent = getenv("SOAK_PERCENT");
	unsigned long share = percent && *percent ? strtoul(percent, NULL, 10) : 100;

	return share > 0 && share < 100 ? full * share / 100 : full;
}
