/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings everything up to date that depends on the size of the guest's memory: the limits of init/limits.h and the
 * sizes of tmpfs mounts. Worker only: may block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"

struct worker;

/* total: bytes of memory for which everything was set last; becomes what it is now. Where another init than ours has
 * booted the guest, nothing is done unless memory has changed, and then no limit becomes lower. Failures are logged
 * by `w`, which may be NULL. */
void memory_limits_follow(const struct roots *roots, bool is_pid1, uint64_t *total,
			  struct worker *w);

/* Gives each tmpfs below `roots` that is half of `before` large (as one is that was mounted without a size) half of
 * `now`, and as many inodes as the kernel would. Returns how many could not be changed. */
unsigned int memory_limits_tmpfs(const struct roots *roots, uint64_t before, uint64_t now,
				 struct error *err);
