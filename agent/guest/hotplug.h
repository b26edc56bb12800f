/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processors and memory that the host has plugged in, as sysfs shows them. sys is /sys. Worker only: to bring one of
 * them online takes the kernel a while. Source: Documentation/admin-guide/cputopology.rst, memory-hotplug.rst.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* How many processors are online. */
int hotplug_cpus_online(int sys, uint32_t *n, struct error *err);

/* Brings processors online, lowest number first, until `wanted` are, or there are no more. *online: how many then are. A
 * processor that the kernel refuses is passed over; err then says which and why, also if 0 is returned. */
int hotplug_online_cpus(int sys, uint32_t wanted, uint32_t *online, struct error *err);

/* Brings all memory online that is offline, as far as it goes: how many blocks could not be. */
unsigned int hotplug_online_memory(int sys, unsigned int *onlined);

/* Tells the kernel of memory at physical addresses that no firmware announced. Memory that is there already is
 * passed over. Stops at the first address that is refused.
 * FAILED_PRECONDITION where the kernel has no interface for it, INVALID_ARGUMENT for what is no start of a block. */
int hotplug_probe_memory(int sys, const uint64_t *addresses, size_t n, struct error *err);
