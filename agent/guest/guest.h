/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What belongs to the guest as a whole and to no container: its clock, its processors and memory, what it is measured by.
 * Called by agent/rpc; knows no call. Loop side: never blocks, what may is a job.
 */
#pragma once

#include <stdint.h>

#include "agent/guest/guest_state.h"
#include "lib/error.h"

struct guest *guest_new(const struct guest_parts *parts, struct error *err);

/* After jobs_free(). NULL is allowed. */
void guest_free(struct guest *g);
