/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of devices of the Container Device Interface, "vendor.com/class=device", and the requests
 * for them in a container's spec. Pure. Source: CDI's SPEC.md, "Kind" and "CDI Devices".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Limits on the devices of one container, and on the length of each part of a name. */
#define CDI_NAMES_MAX 128
#define CDI_PART_MAX  253

/* A requested device. */
struct cdi_name {
	const char *kind, *device;
};

struct cdi_names {
	struct cdi_name *list;
	size_t n;
};

/* Returns whether the text is a valid kind, "vendor/class", or name of a device. */
bool cdi_kind_is_valid(const char *kind);
bool cdi_device_is_valid(const char *device);

/* Finds the devices that the spec asks for, each once, in the order of the spec: in annotations
 * "cdi.k8s.io/…", and, if `visible` is set, in the variable VISIBLE_CDI_DEVICES. The sandbox's own
 * container has none. The list is in the arena. Returns 0, or -1 and err: INVALID_ARGUMENT,
 * RESOURCE_EXHAUSTED. */
int cdi_names_find(struct arena *arena, const Grpc__Spec *spec, bool visible, struct cdi_names *out,
		   struct error *err);
