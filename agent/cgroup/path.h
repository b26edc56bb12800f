/* SPDX-License-Identifier: Apache-2.0 */
/* The path of a container's cgroup. Pure. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

/* Makes the path below the cgroup root ("pods/...") from the cgroupsPath of a spec: `:` becomes
 * `/`, and an empty path the container's id. Returns 0, or -1 and sets err: INVALID_ARGUMENT for
 * `..` and names that are too long. */
int cgroup_path_from_spec(const char *cgroups_path, const char *id, char *out, size_t size,
			  struct error *err);
