/* SPDX-License-Identifier: Apache-2.0 */
/* Serialises a spec as JSON. Pure. */
#pragma once

#include "lib/buf.h"
#include "oci.pb-c.h"

/* Appends `spec` to `b` as the runtime specification's config.json, without the fields that have
 * their default value. Returns 0, or -1 if the buffer is full or memory runs out. */
int json_spec(struct buf *b, const Grpc__Spec *spec);
