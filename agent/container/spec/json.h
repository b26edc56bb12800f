/* SPDX-License-Identifier: Apache-2.0 */
/* JSON written piece by piece into a buffer; strings are UTF-8, as decoded messages have them. Pure. */
#pragma once

#include <stdint.h>

#include "lib/buf.h"
#include "oci.pb-c.h"

/* Each 0, or -1 when the buffer is full or memory is out. */
int json_raw(struct buf *b, const char *text);
int json_quoted(struct buf *b, const char *text);
int json_int(struct buf *b, int64_t value);
int json_uint(struct buf *b, uint64_t value);

/* A spec as runtime-spec's config.json. Fields that have their default value are left out. */
int json_spec(struct buf *b, const Grpc__Spec *spec);
