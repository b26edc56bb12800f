/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stays of a container's spec once it is created: what later processes take from it, and what its removal
 * needs. The rest (mounts, rules, arguments, the seccomp profile) is most of a spec and of no use any more.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* The annotation that names the file with a container's last words, as Kubernetes has it; of the mounts, the one at that place
 * is kept. */
#define KEPT_TERMINATION "io.kubernetes.container.terminationMessagePath"

/* That mount of a spec, or NULL. */
const Grpc__Mount *spec_retain_termination(const Grpc__Spec *spec);

/* Packs those fields of the spec into memory that the caller frees. 0, or -1 and RESOURCE_EXHAUSTED. */
int spec_retain_pack(const Grpc__Spec *spec, uint8_t **out, size_t *size, struct error *err);

/* The spec of spec_retain_pack() in the arena, with `process` and `linux` always there. NULL and RESOURCE_EXHAUSTED. */
Grpc__Spec *spec_retain_unpack(const uint8_t *packed, size_t size, struct arena *arena,
			       struct error *err);
