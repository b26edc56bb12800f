/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of specs and processes that a host sends. Never blocks. */
#pragma once

#include "lib/error.h"
#include "oci.pb-c.h"

/* Checks a spec without accessing the file system: required fields, absolute paths, names of
 * namespaces, rlimits and seccomp, mappings, sizes. Returns 0, or -1 and INVALID_ARGUMENT with
 * the field's name. */
int spec_validate(const Grpc__Spec *spec, struct error *err);

/* Refuses a valid spec that needs a confidential guest: an environment variable with a sealed
 * secret, or /dev/trusted_store. Returns 0, or -1 and FAILED_PRECONDITION. */
int sealed_validate(const Grpc__Spec *spec, struct error *err);

/* Checks a process of a spec or an exec. Returns like spec_validate(). */
int process_validate(const Grpc__Process *process, struct error *err);
