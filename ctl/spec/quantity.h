/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities in the notation of Kubernetes: "64Mi", "1.5G", "500m", "1e3". Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Parses a non-negative quantity in units of 10^-digits: 0 for whole units (bytes), 3 for
 * thousandths (of processors). Fractions of a unit are rounded up. Returns false if the text is
 * invalid or exceeds `max` units. */
bool quantity_parse(const char *text, int digits, uint64_t max, uint64_t *out);
