/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of cgroup v2 files by name, as in linux.resources.unified of the runtime-spec. The
 * protocol's spec lacks that field, so a host sends them as annotations: UNIFIED_PREFIX followed by
 * the file's name.
 */
#pragma once

#include "lib/error.h"
#include "oci.pb-c.h"

#define UNIFIED_PREFIX "tatami.cgroup."

/* Checks that each such annotation names a file that may be set, and the length of its value.
 * Returns 0, or -1 and INVALID_ARGUMENT. Never blocks. */
int unified_validate(const Grpc__Spec *spec, struct error *err);

/* Writes the values to the cgroup that fd is open on, overriding other limits. Returns 0, or -1 and
 * sets err. Worker side: may block. */
int unified_apply(int fd, const Grpc__Spec *spec, struct error *err);
