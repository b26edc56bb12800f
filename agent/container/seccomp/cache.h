/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of compiled seccomp profiles, one entry for all containers with the same profile. The
 * worker of the first launch compiles the profile and sends the program back; the workers of later
 * launches and execs inherit it by fork. Loop side: never blocks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/container/seccomp/filter.h"
#include "lib/error.h"
#include "lib/list.h"
#include "oci.pb-c.h"

struct cached_filter {
	struct list node;
	unsigned int refs;
	/* Allocated with filter_size() bytes only; NULL until a launch has compiled it. */
	struct filter *filter;
	size_t packed_size;
	uint8_t packed[];
};

/* Returns a new reference to the entry for this profile, which is added to the list if it is not
 * there. NULL and RESOURCE_EXHAUSTED. */
struct cached_filter *seccomp_cache_take(struct list *all, const Grpc__LinuxSeccomp *seccomp,
					 struct error *err);

/* Stores the program that a worker sent, unless there already is one. Returns 0, or -1 and err
 * if it is invalid. */
int seccomp_cache_store(struct cached_filter *p, const void *filter, size_t size,
			struct error *err);

/* Drops a reference; the last one frees the entry. `p` may be NULL. */
void seccomp_cache_drop(struct cached_filter *p);
