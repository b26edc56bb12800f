/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions that a container drives itself, through VFIO. */
#pragma once

#include <stdint.h>

#include "agent/device/device.h"

#define VFIO_FUNCTIONS_MAX 8

/* PCI functions by their names in sysfs, "0000:01:00.0". */
struct vfio_functions {
	char name[VFIO_FUNCTIONS_MAX][16];
	size_t n;
};

/* Receives the number of the functions' IOMMU group, or the error. */
typedef void vfio_bound_fn(const struct error *err, uint32_t group, void *data);

/* Gives the functions to the driver vfio-pci; they must be of one IOMMU group. Copies them. done is
 * called once, never before this returns; a bind that has begun goes on after pending_cancel().
 * Returns NULL and sets err if nothing was started. */
struct pending *vfio_bind(struct device_watch *w, const struct vfio_functions *functions,
			  vfio_bound_fn *done, void *data, struct error *err);

/* Does the work of vfio_bind(), for tests. Worker only: may block. */
int vfio_bind_all(int sysfd, const struct vfio_functions *functions, uint32_t *group,
		  struct error *err);
