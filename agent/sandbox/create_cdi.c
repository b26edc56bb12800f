/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of a new container that the guest's CDI specs describe. Called by create.c. */
#include "agent/sandbox/sandbox_internal.h"

#include "agent/cdi/cdi.h"
#include "agent/cdi/merge.h"
#include "agent/container/spec/validate.h"

/* Limit on the names, the additions and the resulting spec. */
#define CDI_SPEC_MAX ((size_t)16 << 20)

int
create_cdi_prepare(const struct sandbox *s, struct create_cdi *c, const Grpc__Spec *spec,
		   struct error *err)
{
	arena_init(&c->arena, CDI_SPEC_MAX);
	return cdi_names_find(&c->arena, spec, s->parts.visible_cdi_devices, &c->names, err);
}

int
create_cdi_find(const struct sandbox *s, struct create_cdi *c, const Grpc__Spec *spec,
		cdi_found_fn *found, void *data, struct error *err)
{
	const struct cdi_parts parts = {
		.loop = s->parts.loop,
		.jobs = s->parts.jobs,
		.roots = s->parts.roots,
		.timeout_ms = s->parts.cdi_timeout_ms,
		.device_ms = s->parts.cdi_device_ms,
	};
	const Grpc__User *user = spec->process->user;

	c->wait = cdi_find(&parts, &c->names, user ? user->uid : 0, user ? user->gid : 0, found,
			   data, err);
	return c->wait ? 0 : -1;
}

const Grpc__Spec *
create_cdi_merge(struct create_cdi *c, const Grpc__Spec *spec, const uint8_t *packed, size_t size,
		 struct error *err)
{
	ProtobufCAllocator allocator = { arena_pb_alloc, arena_pb_free, &c->arena };
	const Grpc__Spec *edits = grpc__spec__unpack(&allocator, size, packed);
	const Grpc__Spec *merged;
	int n;

	c->numbers = arena_zalloc(&c->arena, CREATE_DEVICES_MAX, sizeof(*c->numbers));
	if (!edits || !c->numbers) {
		error_nomem(err, "adding CDI devices to a container");
		return NULL;
	}
	n = cdi_numbers(edits, c->numbers, CREATE_DEVICES_MAX, err);
	if (n < 0)
		return NULL;
	c->n_numbers = (size_t)n;
	merged = cdi_merge(&c->arena, spec, edits, err);
	if (!merged)
		return NULL;
	if (spec_validate(merged, err) < 0) {
		error_wrap(err, "the spec with its CDI devices is invalid");
		return NULL;
	}
	return merged;
}

void
create_cdi_release(struct create_cdi *c)
{
	pending_cancel(&c->wait);
	arena_release(&c->arena);
}
