/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Specs of the Container Device Interface: files that say how a container is to be changed so that
 * it can use a device. Versions 0.3.0 to 1.1.0. Pure. Source: CDI's SPEC.md.
 */
#pragma once

#include <stddef.h>

#include "agent/cdi/edits.h"
#include "lib/arena.h"
#include "lib/error.h"
#include "lib/yaml.h"

/* Limit on the devices of one spec. */
#define CDI_DEVICES_MAX 4096

/* A valid spec. Its texts are those of the document. */
struct cdi_spec {
	const char *kind;
	enum cdi_version version;
	/* The changes for every device of the spec; NULL: none. */
	const struct yaml_node *edits;
	/* The map of each device, in which `name` is valid. */
	const struct yaml_node *devices;
};

/* Reads a spec, and checks all of it. Returns 0; or -1 and err: INVALID_ARGUMENT with the line;
 * out->kind is set if at least that is valid, otherwise NULL. */
int cdi_spec_read(const struct yaml_node *document, struct cdi_spec *out, struct error *err);

/* Returns the device of a spec, or NULL. */
const struct yaml_node *cdi_spec_device(const struct cdi_spec *spec, const char *name);

/* Returns the changes for a device of a spec. */
const struct yaml_node *cdi_device_edits(const struct yaml_node *device);
