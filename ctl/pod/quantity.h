/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities as Kubernetes writes them: "64Mi", "1.5G", "500m", "1e3". Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Parses a quantity that is not negative, in units of 10^-digits: with 0 whole ones (bytes), with 3 thousandths (of processors).
 * What is no multiple of the unit is rounded up. False if the text is no quantity, or above `max` units. */
bool quantity_parse(const char *text, int digits, uint64_t max, uint64_t *out);
