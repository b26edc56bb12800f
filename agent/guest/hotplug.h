/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plugged processors and memory in sysfs. sys is /sys. Worker side: bringing one online takes
 * the kernel a while. Source: Documentation/admin-guide/cputopology.rst, memory-hotplug.rst.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Counts the processors that are online. Returns 0, or -1 and sets err. */
int hotplug_cpus_online(int sys, uint32_t *n, struct error *err);

/* Brings processors online, lowest number first, until `wanted` are online or none is left. Sets
 * *online to the number that is online then. Processors that fail are skipped. Returns 0, or -1 and
 * sets err; err also holds the last failure of a processor if 0 is returned. */
int hotplug_online_cpus(int sys, uint32_t wanted, uint32_t *online, struct error *err);

/* Brings all offline memory online. Sets *onlined to the number of blocks, and returns the number
 * of blocks that failed. */
unsigned int hotplug_online_memory(int sys, unsigned int *onlined);

/* Adds memory blocks at physical addresses that firmware has not announced. Existing blocks are
 * skipped; the first failure ends it. Returns 0, or -1 and sets err: FAILED_PRECONDITION if the
 * kernel has no interface for it, INVALID_ARGUMENT for an address that is not the start of a
 * block. */
int hotplug_probe_memory(int sys, const uint64_t *addresses, size_t n, struct error *err);
