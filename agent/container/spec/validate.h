/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the agent can make a container, or a process, of what a host sends. Never blocks. */
#pragma once

#include "lib/error.h"
#include "oci.pb-c.h"

/* Checks a spec once, on the loop, without touching any file system: required fields, absolute paths, known
 * namespace/rlimit/capability/seccomp names, mappings, sizes. INVALID_ARGUMENT with the field's name. Never blocks. */
int spec_validate(const Grpc__Spec *spec, struct error *err);

/* FAILED_PRECONDITION for what only a confidential guest could give: an environment variable that is a sealed secret,
 * /dev/trusted_store. The rest of the spec was found valid. Never blocks. */
int sealed_validate(const Grpc__Spec *spec, struct error *err);

/* The same for an exec's process. */
int process_validate(const Grpc__Process *process, struct error *err);
