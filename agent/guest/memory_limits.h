/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adjusts limits that depend on the size of the guest's memory: those of init/limits.h, and the
 * sizes of tmpfs mounts. Worker side: may block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"

struct worker;

/* Adjusts all limits. *total is the size of memory in bytes for which they were set last, and is
 * updated. If the guest was booted by another init, limits are adjusted only if memory has changed,
 * and are never lowered. Failures are logged through w, which may be NULL. */
void memory_limits_follow(const struct roots *roots, bool is_pid1, uint64_t *total,
			  struct worker *w);

/* Resizes each tmpfs in the guest whose size is half of `before`, which is the default, to half of
 * `now`, with the default number of inodes. Returns the number of failures; err is the first
 * one. */
unsigned int memory_limits_tmpfs(const struct roots *roots, uint64_t before, uint64_t now,
				 struct error *err);
