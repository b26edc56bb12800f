/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's random numbers (random(4)). Worker only: mixing much in takes a while. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Mixes the bytes in, counts them as entropy, and makes the kernel draw a new key at once. dev is /dev. 0, or -1 and err;
 * INVALID_ARGUMENT for none. */
int entropy_reseed(int dev, const uint8_t *data, size_t n, struct error *err);
