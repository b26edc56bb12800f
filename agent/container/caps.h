/* SPDX-License-Identifier: Apache-2.0 */
/* Capability sets of a process (capabilities(7)) as bit masks, from the names in a spec. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

struct cap_sets {
	uint64_t bounding, effective, permitted, inheritable, ambient;
};

/* "CAP_CHOWN", "chown", "\"CAP_CHOWN\"" -> 0; false for a name that nobody knows. */
bool cap_name_parse(const char *name, unsigned int *out);

/* INVALID_ARGUMENT with the unknown name. Pure. */
int cap_sets_from_spec(const Grpc__LinuxCapabilities *spec, struct cap_sets *out,
		       struct error *err);

/* Drops what is not in `keep` from the caller's bounding set. */
int cap_bounding_limit(uint64_t keep, struct error *err);

/* Sets effective, permitted, inheritable and ambient of the caller; `extra` stays permitted and effective besides,
 * until execve. What the running kernel does not know is left out, ambient ones that are not also permitted and
 * inheritable are (capabilities(7)). */
int cap_sets_apply(const struct cap_sets *sets, uint64_t extra, struct error *err);
