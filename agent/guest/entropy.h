/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's random number generator (random(4)). Worker side: mixing in many bytes takes a
 * while. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Mixes in the bytes, credits them as entropy, and reseeds the kernel's generator at once. dev is
 * /dev. Returns 0, or -1 and sets err: INVALID_ARGUMENT if n is 0. */
int entropy_reseed(int dev, const uint8_t *data, size_t n, struct error *err);
