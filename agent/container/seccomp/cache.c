/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of compiled seccomp profiles, shared by containers with the same profile. */
#include "agent/container/seccomp/cache.h"

#include <stdlib.h>
#include <string.h>

struct cached_filter *
seccomp_cache_take(struct list *all, const Grpc__LinuxSeccomp *seccomp, struct error *err)
{
	size_t size = grpc__linux_seccomp__get_packed_size(seccomp);
	struct cached_filter *p = calloc(1, sizeof(*p) + size);
	struct list *pos;

	if (!p) {
		error_nomem(err, "caching a seccomp profile");
		return NULL;
	}
	p->packed_size = grpc__linux_seccomp__pack(seccomp, p->packed);
	list_for_each (pos, all) {
		struct cached_filter *other = list_entry(pos, struct cached_filter, node);

		if (other->packed_size == size && memcmp(other->packed, p->packed, size) == 0) {
			free(p);
			other->refs++;
			return other;
		}
	}
	p->refs = 1;
	list_append(all, &p->node);
	return p;
}

int
seccomp_cache_store(struct cached_filter *p, const void *filter, size_t size, struct error *err)
{
	uint32_t head[2] = { 0, 0 };

	_Static_assert(sizeof(head) == offsetof(struct filter, insns), "the header is flags and n");
	if (p->filter)
		return 0;
	if (size >= sizeof(head))
		memcpy(head, filter, sizeof(head));
	if (!head[1] || head[1] > FILTER_MAX ||
	    size != sizeof(head) + head[1] * sizeof(p->filter->insns[0]))
		return error_set(err, ERROR_INTERNAL,
				 "the worker sent an invalid seccomp filter of %zu bytes", size);
	p->filter = malloc(size);
	if (!p->filter)
		return error_nomem(err, "caching a seccomp filter");
	memcpy(p->filter, filter, size);
	return 0;
}

void
seccomp_cache_drop(struct cached_filter *p)
{
	if (!p || --p->refs > 0)
		return;
	list_remove(&p->node);
	free(p->filter);
	free(p);
}
