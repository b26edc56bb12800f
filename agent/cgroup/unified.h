/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of cgroup v2 by their names, as runtime-spec's linux.resources.unified has them. The protocol's spec has no such
 * field: a host says them in annotations, UNIFIED_PREFIX followed by the file's name.
 */
#pragma once

#include "lib/error.h"
#include "oci.pb-c.h"

#define UNIFIED_PREFIX "tatami.cgroup."

/* Is each of them a file that limits or shares something, with a value that is not absurd? Never blocks. */
int unified_validate(const Grpc__Spec *spec, struct error *err);

/* Writes them into the cgroup that fd is open on, after and over the other limits. Worker only: may block. */
int unified_apply(int fd, const Grpc__Spec *spec, struct error *err);
