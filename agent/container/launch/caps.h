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

/* Bytes of the longest name, with its NUL. */
#define CAP_NAME_SIZE 41

/* "CAP_CHOWN", "chown", "\"CAP_CHOWN\"" -> 0; false for a name that nobody knows. */
bool cap_name_parse(const char *name, unsigned int *out);

/* Writes the name as the runtime specification spells it: "CAP_CHOWN"; also one that nobody knows. False if it has other
 * characters than letters and underscores. */
bool cap_name_canonical(const char *name, char out[CAP_NAME_SIZE]);

/* Room for the names of capabilities that were left out. */
#define CAP_LEFT_OUT_MAX 400

/* Parses the five sets. As the runtime specification wants, a name that no kernel knows and a capability that cannot be
 * granted do not fail: they are left out, and their names are listed in `left_out` ("": none). Cannot be granted: what is not
 * in `grantable`, effective ones that are not permitted, inheritable ones outside the bounding set, ambient ones that are not
 * both permitted and inheritable (capabilities(7)). Pure. */
void cap_sets_from_spec(const Grpc__LinuxCapabilities *spec, uint64_t grantable,
			struct cap_sets *out, char left_out[CAP_LEFT_OUT_MAX]);

/* Returns the capabilities that the caller can give to a process: those of its bounding set, or `all` that the running kernel
 * knows, which a new user namespace has. */
uint64_t cap_grantable(bool all);

/* Drops what is not in `keep` from the caller's bounding set. */
int cap_bounding_limit(uint64_t keep, struct error *err);

/* Sets effective, permitted, inheritable and ambient of the caller; `extra` stays permitted and effective in addition,
 * until execve. An ambient capability that the caller's securebits forbid is left out. */
int cap_sets_apply(const struct cap_sets *sets, uint64_t extra, struct error *err);

/* Takes the extra capabilities of cap_sets_apply() away again, by capset(2) alone. 0, or -1 and errno. */
int cap_sets_drop_extra(const struct cap_sets *sets);
