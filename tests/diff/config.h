/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as the agent is sent it, written down as the config.json that means the same (runtime-spec, config.md and
 * config-linux.md). Pure. */
#pragma once

#include "oci.pb-c.h"

/* What differs between two runtimes that run the same container side by side. */
struct config_place {
	const char *root;         /* instead of root.path */
	const char *cgroups_path; /* instead of linux.cgroupsPath */
};

/* The text, to be freed; NULL: out of memory. */
char *config_json(const Grpc__Spec *spec, const struct config_place *place);
