/* SPDX-License-Identifier: Apache-2.0 */
/* A spec's devices by the host's numbers become the guest's. Worker side, before anything is made of the spec. */
#pragma once

#include "agent/container/launch/params.h"

/* For each of l->devices: the entry of spec.linux.devices with its container path, which must be there, gets the numbers
 * of its node; the device rules for the numbers that it had are rewritten, and one that allows everything is appended.
 * Changes the spec, which is the worker's own copy. INVALID_ARGUMENT. */
int device_entries_apply(const struct launch *l, struct error *err);
