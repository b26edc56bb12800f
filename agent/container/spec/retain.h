/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a spec that is kept after the container is created: the settings that execs inherit,
 * and those that removal needs. The rest (mounts, device rules, arguments, the seccomp profile) is
 * the bulk of a spec and no longer used.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Kubernetes' annotation with the path of the container's termination message. The mount at that
 * path is the only one kept. */
#define KEPT_TERMINATION "io.kubernetes.container.terminationMessagePath"

/* Returns the mount of the termination message, which points into `spec`, or NULL. */
const Grpc__Mount *spec_retain_termination(const Grpc__Spec *spec);

/* Packs the fields to keep into *out, which the caller frees. Returns 0, or -1 and
 * RESOURCE_EXHAUSTED. */
int spec_retain_pack(const Grpc__Spec *spec, uint8_t **out, size_t *size, struct error *err);

/* Unpacks the output of spec_retain_pack() into the arena; `process` and `linux` are never NULL.
 * Returns NULL and RESOURCE_EXHAUSTED if memory runs out. */
Grpc__Spec *spec_retain_unpack(const uint8_t *packed, size_t size, struct arena *arena,
			       struct error *err);
