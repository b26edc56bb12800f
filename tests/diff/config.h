/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of a spec as sent to the agent to an equivalent config.json (runtime-spec, config.md
 * and config-linux.md). Pure. */
#pragma once

#include "oci.pb-c.h"

/* Values that differ between two runtimes that run the same container next to each other. */
struct config_place {
	/* replaces root.path */
	const char *root;
	/* replaces linux.cgroupsPath */
	const char *cgroups_path;
};

/* Returns the text, to be freed by the caller, or NULL if out of memory. */
char *config_json(const Grpc__Spec *spec, const struct config_place *place);
