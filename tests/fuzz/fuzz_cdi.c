/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CDI spec: any text is refused with a reason or is valid, and the changes for each device of a
 * valid one can be collected and merged into a spec.
 */
#include <string.h>

#include "agent/cdi/merge.h"
#include "agent/cdi/names.h"
#include "agent/cdi/spec.h"
#include "tests/fuzz/target.h"

static unsigned int
depth(const struct yaml_node *node)
{
	unsigned int most = 0;
	size_t n = 0;

	MUST((node->text != NULL) == (node->kind == YAML_PLAIN || node->kind == YAML_QUOTED));
	for (const struct yaml_node *e = node->first; e; e = e->next) {
		unsigned int below = depth(e);

		MUST((e->key != NULL) == (node->kind == YAML_MAP));
		most = below > most ? below : most;
		n++;
	}
	MUST(n == node->n);
	return most + 1;
}

static void
expect_usable(struct arena *arena, const struct cdi_spec *spec)
{
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Linux linux_part = GRPC__LINUX__INIT;
	Grpc__Spec host = GRPC__SPEC__INIT;

	host.process = &process;
	host.linux = &linux_part;
	MUST(cdi_kind_is_valid(spec->kind));
	for (const struct yaml_node *d = spec->devices; d; d = d->next) {
		struct error err = ERROR_INIT;
		struct cdi_edits edits;
		const Grpc__Spec *merged;

		MUST(cdi_device_is_valid(cdi_field(d, "name")->text));
		if (cdi_edits_init(&edits, arena, &err) < 0 ||
		    (spec->edits && cdi_edits_add(&edits, spec->edits, spec->version, &err) < 0) ||
		    cdi_edits_add(&edits, cdi_device_edits(d), spec->version, &err) < 0) {
			MUST(err.code == ERROR_RESOURCE_EXHAUSTED ||
			     err.code == ERROR_FAILED_PRECONDITION);
			continue;
		}
		for (size_t i = 0; i < edits.n_nodes; i++)
			MUST(strncmp(edits.nodes[i]->device.path, "/dev/", 5) == 0 &&
			     edits.nodes[i]->host_path[0] == '/');
		merged = cdi_merge(arena, &host, &edits.spec, &err);
		if (!merged)
			continue;
		MUST(merged->n_mounts <= edits.spec.n_mounts);
		MUST(merged->process->n_env <= edits.process.n_env);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	const struct yaml_node *document;
	struct cdi_spec spec;
	struct arena arena;

	arena_init(&arena, 8 << 20);
	document = yaml_parse(&arena, (const char *)data, size, &err);
	if (!document) {
		MUST(err.code == ERROR_INVALID_ARGUMENT || err.code == ERROR_RESOURCE_EXHAUSTED);
	} else {
		MUST(depth(document) <= YAML_DEPTH_MAX + 1);
		if (cdi_spec_read(document, &spec, &err) == 0)
			expect_usable(&arena, &spec);
		else
			MUST(err.code == ERROR_INVALID_ARGUMENT);
	}
	arena_release(&arena);
	return 0;
}
