/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services for the guest as a whole: its clock, its processors and memory, and metrics. Loop side:
 * never blocks; jobs do what may block.
 */
#pragma once

#include <stdint.h>

#include "agent/guest/guest_state.h"
#include "lib/error.h"

/* Starts the services. Returns NULL and sets err if that fails; a missing clock is only logged. */
struct guest *guest_new(const struct guest_parts *parts, struct error *err);

/* Must be called after jobs_free(). NULL is allowed. */
void guest_free(struct guest *g);
