/* SPDX-License-Identifier: Apache-2.0 */
/* Measurement of elapsed time. */
#pragma once

#include "lib/deadline.h"

/* Returns the whole milliseconds from the time `ns` of monotonic_ns() until now. */
static inline uint64_t
elapsed_ms(uint64_t ns)
{
	return (monotonic_ns() - ns) / NS_PER_MS;
}
