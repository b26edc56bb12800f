/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's cgroup lies. Pure. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

/* cgroupsPath of a spec -> relative path below the cgroup root ("pods/..."), `:` -> `/`, empty -> the id; refuses `..`
 * and over-long names. 0 or -1. Never blocks. */
int cgroup_path_from_spec(const char *cgroups_path, const char *id, char *out, size_t size,
			  struct error *err);
