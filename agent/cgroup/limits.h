/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resources of an OCI spec as values of cgroup v2 files. In a field 0 means "not given" (the
 * protocol does not distinguish them) and -1 "unlimited". Resources without a file in cgroup v2 are
 * refused. The conversions are pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Size of the buffer for any value below. */
#define CGROUP_VALUE_MAX 64

/* Checks resources as far as that is possible without a cgroup. update: the container has limits
 * already. resources may be NULL. Returns 0, or -1 and INVALID_ARGUMENT naming the field. Never
 * blocks. */
int cgroup_limits_validate(const Grpc__LinuxResources *resources, bool update, struct error *err);

/* Writes the limits of a new container to the cgroup that fd is open on. root_fd is the root of the
 * hierarchy, where the cost model is enabled for disks with a weight. resources may be NULL.
 * Returns 0, or -1 and sets err: FAILED_PRECONDITION naming the controller if that is missing and
 * the value is not "unlimited". Worker side: may block. */
int cgroup_limits_apply(int fd, int root_fd, const Grpc__LinuxResources *resources,
			struct error *err);

/* Changes the given limits, except device rules (devices.h). On failure all limits are restored.
 * Worker side: may block, since the kernel reclaims memory above a new limit. */
int cgroup_limits_update(int fd, int root_fd, const Grpc__LinuxResources *resources,
			 struct error *err);

/* Converts cpu.shares (2..262144, clamped) to cpu.weight (1..10000): ceil(10^((l^2 + 125 l)/612 -
 * 7/34)) with l = log2(shares). That maps the default to the default (1024 to 100), as runc does
 * since 1.3.2 and 1.4. */
uint64_t cgroup_cpu_weight(uint64_t shares);

/* Makes the value of cpu.max, "<quota|max> <period>". Returns false if neither is given. */
bool cgroup_cpu_max(int64_t quota, uint64_t period, char out[CGROUP_VALUE_MAX]);

/* Makes the value of memory.swap.max from memory+swap and memory, as cgroup v1 counts them. Returns
 * 1, 0 if it is not given, or -1 and INVALID_ARGUMENT. */
int cgroup_swap_max(int64_t memory_and_swap, int64_t memory, char out[CGROUP_VALUE_MAX],
		    struct error *err);

/* Converts a blkio weight (10..1000) to io.weight (1..10000), linearly as the runtime-spec does. */
uint64_t cgroup_io_weight(uint32_t weight);

/* Formats a number, or "max" if it is negative. */
void cgroup_number(int64_t value, char out[CGROUP_VALUE_MAX]);
