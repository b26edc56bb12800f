/* SPDX-License-Identifier: Apache-2.0 */
/* Adding what CDI devices need to a container's spec. Pure. */
#pragma once

#include <stddef.h>

#include "agent/cgroup/device_numbers.h"
#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Returns the spec with the additions of `edits`, as cdi_load() makes them, all of them or none;
 * neither is changed. Variables, devices and mounts replace those of the same name or path, groups
 * and hooks are appended, and mounts are ordered by the depth of their destination. Device rules
 * are not added (cdi_numbers()). The result is in the arena and refers to both. Returns NULL and
 * RESOURCE_EXHAUSTED. */
const Grpc__Spec *cdi_merge(struct arena *arena, const Grpc__Spec *spec, const Grpc__Spec *edits,
			    struct error *err);

/* Fills `out`, which has room for `max`, with the devices that the rules of `edits` allow. Returns
 * their number, or -1 and RESOURCE_EXHAUSTED. */
int cdi_numbers(const Grpc__Spec *edits, struct device_number *out, size_t max, struct error *err);
