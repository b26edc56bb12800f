/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled seccomp profiles, one for all containers that have the same. The first launch compiles it, in its worker,
 * and sends the program back; later launches and all execs find it in the memory they were forked with. Loop side:
 * never blocks.
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
	struct filter *
		filter; /* NULL until a launch has compiled it; only filter_size() bytes of it are there */
	size_t packed_size;
	uint8_t packed[];
};

/* One of the list that is the same, or a new one: one more reference. NULL and RESOURCE_EXHAUSTED. */
struct cached_filter *seccomp_cache_take(struct list *all, const Grpc__LinuxSeccomp *seccomp,
					 struct error *err);

/* The program from a worker. 0 also if there is one; -1 and err if it is none. */
int seccomp_cache_store(struct cached_filter *p, const void *filter, size_t size,
			struct error *err);

/* One reference less; the last one frees it. NULL is allowed. */
void seccomp_cache_drop(struct cached_filter *p);
