/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of the spec's device numbers from the host's to the guest's. Worker side, before
 * the spec is used. */
#pragma once

#include "agent/container/launch/params.h"

struct worker;

/* For each entry of l->devices, sets the entry of spec.linux.devices with its container path,
 * which must exist, to the numbers of its node, rewrites the device rules for the old numbers,
 * and appends a rule that allows the device. Sends the numbers to the agent. Changes the spec,
 * which is the worker's own copy. Returns 0, or -1 and err: INVALID_ARGUMENT. */
int device_entries_apply(struct worker *w, const struct launch *l, struct error *err);
