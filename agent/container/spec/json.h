/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as JSON. Pure. */
#pragma once

#include "lib/buf.h"
#include "oci.pb-c.h"

/* Writes a spec as runtime-spec's config.json, without the fields that have their default value. 0, or -1 when the buffer
 * is full or memory is out. */
int json_spec(struct buf *b, const Grpc__Spec *spec);
