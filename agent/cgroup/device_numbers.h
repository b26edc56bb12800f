/* SPDX-License-Identifier: Apache-2.0 */
/* Devices whose numbers in the guest are not those on the host, and the rules of a host for them.
 * Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* The major number on the host of a device that the host does not know. No rule has it. */
#define DEVICE_NOT_ON_HOST UINT32_MAX

/* A device of a container. */
struct device_number {
	/* 'b' or 'c' */
	uint32_t type;
	uint32_t host_major, host_minor;
	/* in the guest */
	uint32_t major, minor;
	/* The accesses that its own rule allows, as in a spec ("rw"); "": all. */
	char access[4];
};

/* Replaces the host's numbers in the rules by the guest's, each rule at most once, because a number
 * of the guest may be that of another device on the host. Then appends a rule that allows each
 * device. The memory of the new rules belongs to the process: for workers, on a copy of their own.
 * Returns 0, or -1 and err. */
int device_numbers_apply(Grpc__LinuxResources *r, const struct device_number *numbers, size_t n,
			 struct error *err);
