/* SPDX-License-Identifier: Apache-2.0 */
/* The capability sets of a process (capabilities(7)) as bit masks, parsed from the names in a
 * spec. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

struct cap_sets {
	uint64_t bounding, effective, permitted, inheritable, ambient;
	/* Those that the process may have in its bounding set when it starts. */
	uint64_t grantable;
};

/* Size of the longest name including the NUL, in bytes. */
#define CAP_NAME_SIZE 41

/* Parses "CAP_CHOWN", "chown" or "\"CAP_CHOWN\"" to the number. Returns false for an unknown
 * name. */
bool cap_name_parse(const char *name, unsigned int *out);

/* Writes a name, known or not, as the runtime specification spells it: "CAP_CHOWN". Returns
 * false if it has characters other than letters and underscores. */
bool cap_name_canonical(const char *name, char out[CAP_NAME_SIZE]);

/* Size of a list of ignored capabilities, in bytes. */
#define CAP_LEFT_OUT_MAX 400

/* Parses the five sets. As the runtime specification requires, an unknown name or a capability
 * that cannot be granted is not an error: it is ignored, and its name is added to `left_out`
 * ("": none). A capability cannot be granted if it is not in `grantable`, effective but not
 * permitted, inheritable but not in the bounding set, or ambient but not both permitted and
 * inheritable (capabilities(7)). Pure. */
void cap_sets_from_spec(const Grpc__LinuxCapabilities *spec, uint64_t grantable,
			struct cap_sets *out, char left_out[CAP_LEFT_OUT_MAX]);

/* Returns the capabilities that the caller can grant to a process: those of its bounding set, or
 * with `all` those of the running kernel, which a new user namespace has. */
uint64_t cap_grantable(bool all);

/* Reduces the caller's bounding set to that of `sets`. Returns 0, or -1 and err. */
int cap_bounding_limit(const struct cap_sets *sets, struct error *err);

/* Sets the effective, permitted, inheritable and ambient sets of the caller; `extra` is
 * permitted and effective in addition, until execve. An ambient capability that the caller's
 * securebits forbid is ignored. Returns 0, or -1 and err. */
int cap_sets_apply(const struct cap_sets *sets, uint64_t extra, struct error *err);

/* Drops the extra capabilities of cap_sets_apply() with a single capset(2). Returns 0, or -1 and
 * errno. */
int cap_sets_drop_extra(const struct cap_sets *sets);
