/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resources of an OCI spec as values of cgroup v2 files. The conversions are pure; 0 of a field means that
 * it was not given (the protocol cannot tell), -1 unlimited. What version 2 has no file for is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Room for any value below. */
#define CGROUP_VALUE_MAX 64

/* Can this be applied, as far as can be told without a cgroup? Names the field. `update`: of a container that has limits
 * already. NULL is fine. Never blocks. */
int cgroup_limits_validate(const Grpc__LinuxResources *resources, bool update, struct error *err);

/* Writes the limits of a new container into the cgroup that fd is open on. A limit whose controller is missing is an
 * error naming it, unless it asks for no limit. root_fd is the root of the hierarchy, where the cost model of a disk
 * with a weight of its own is switched on. Worker only: may block. resources may be NULL. */
int cgroup_limits_apply(int fd, int root_fd, const Grpc__LinuxResources *resources,
			struct error *err);

/* Changes the limits that are given and leaves the others as they are; on failure all are as before. Device rules are
 * not among them (devices.h). Worker only: may block (the kernel reclaims memory that is over a new limit). */
int cgroup_limits_update(int fd, int root_fd, const Grpc__LinuxResources *resources,
			 struct error *err);

/* cpu.shares (2..262144) -> cpu.weight (1..10000), out of range is clamped: ceil(10^((l^2 + 125 l)/612 - 7/34)) with
 * l = log2(shares), which takes both defaults to each other (1024 -> 100), as runc does from 1.3.2 and 1.4 on. */
uint64_t cgroup_cpu_weight(uint64_t shares);

/* cpu.max: "<quota|max> <period>"; false when neither was given. */
bool cgroup_cpu_max(int64_t quota, uint64_t period, char out[CGROUP_VALUE_MAX]);

/* memory.swap.max from memory+swap and memory as cgroup v1 counts them: 1 and the value, 0 when it is
 * not given, -1 and err for what cannot be. */
int cgroup_swap_max(int64_t memory_and_swap, int64_t memory, char out[CGROUP_VALUE_MAX],
		    struct error *err);

/* blkio weight (10..1000) -> io.weight (1..10000), as runtime-spec's v1 to v2 conversion: linear. */
uint64_t cgroup_io_weight(uint32_t weight);

/* "max" for negative values, the number else. */
void cgroup_number(int64_t value, char out[CGROUP_VALUE_MAX]);
