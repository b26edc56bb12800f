/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a spec that is kept after creation (retain.h). A module that needs another field
 * adds it here. */
#include "agent/container/spec/retain.h"

#include <stdlib.h>
#include <string.h>

static Grpc__Spec__AnnotationsEntry **spec_retain_termination_annotation(const Grpc__Spec *spec);
static Grpc__Mount **spec_retain_termination_mount(const Grpc__Spec *spec);

int
spec_retain_pack(const Grpc__Spec *spec, uint8_t **out, size_t *size, struct error *err)
{
	Grpc__Spec kept = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Linux linux_part = GRPC__LINUX__INIT;

	/* Keeps what restricts the process (user, capabilities, limits), and drops what it runs. */
	if (spec->process)
		process = *spec->process;
	process.n_args = 0;
	process.args = NULL;
	process.n_env = 0;
	process.env = NULL;
	process.consolesize = NULL;
	if (spec->linux) {
		linux_part.uidmappings = spec->linux->uidmappings;
		linux_part.n_uidmappings = spec->linux->n_uidmappings;
		linux_part.gidmappings = spec->linux->gidmappings;
		linux_part.n_gidmappings = spec->linux->n_gidmappings;
		linux_part.mountlabel = spec->linux->mountlabel;
	}
	kept.process = &process;
	kept.linux = &linux_part;
	kept.version = spec->version;
	kept.hooks = spec->hooks;
	/* The state that hooks read contains the annotations. */
	if (spec->hooks) {
		kept.annotations = spec->annotations;
		kept.n_annotations = spec->n_annotations;
	}
	kept.mounts = spec_retain_termination_mount(spec);
	kept.n_mounts = kept.mounts ? 1 : 0;
	if (kept.mounts && !spec->hooks) {
		kept.annotations = spec_retain_termination_annotation(spec);
		kept.n_annotations = 1;
	}
	*size = grpc__spec__get_packed_size(&kept);
	*out = malloc(*size);
	if (!*out)
		return error_nomem(err, "retaining the container's spec");
	grpc__spec__pack(&kept, *out);
	return 0;
}

static Grpc__Spec__AnnotationsEntry **
spec_retain_termination_annotation(const Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_annotations; i++) {
		if (strcmp(spec->annotations[i]->key, KEPT_TERMINATION) == 0)
			return &spec->annotations[i];
	}
	return NULL;
}

/* The last mount at the path covers the others. */
static Grpc__Mount **
spec_retain_termination_mount(const Grpc__Spec *spec)
{
	Grpc__Spec__AnnotationsEntry **annotation = spec_retain_termination_annotation(spec);

	for (size_t i = annotation ? spec->n_mounts : 0; i > 0; i--) {
		if (strcmp(spec->mounts[i - 1]->destination, (*annotation)->value) == 0)
			return &spec->mounts[i - 1];
	}
	return NULL;
}

const Grpc__Mount *
spec_retain_termination(const Grpc__Spec *spec)
{
	Grpc__Mount **mount = spec_retain_termination_mount(spec);

	return mount ? *mount : NULL;
}

Grpc__Spec *
spec_retain_unpack(const uint8_t *packed, size_t size, struct arena *arena, struct error *err)
{
	ProtobufCAllocator allocator = { arena_pb_alloc, arena_pb_free, arena };
	Grpc__Spec *spec = grpc__spec__unpack(&allocator, size, packed);

	if (!spec || !spec->process || !spec->linux) {
		error_nomem(err, "unpacking the container's spec");
		return NULL;
	}
	return spec;
}
