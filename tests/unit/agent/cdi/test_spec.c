/* SPDX-License-Identifier: Apache-2.0 */
/* CDI specs: versions, fields, and the changes that they collect. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/cdi/spec.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

#define HEAD(version) "{cdiVersion: " version ", kind: v/c, "
#define EDITS(edits)  "devices: [{name: d, containerEdits: {" edits "}}]}"
#define ENV           "env: [A=b]"

/* Reads a spec. Returns "" or the error. */
static const char *
check(struct arena *arena, const char *text, struct cdi_spec *spec)
{
	static struct error err;
	const struct yaml_node *document;

	err = ERROR_INIT;
	document = yaml_parse(arena, text, strlen(text), &err);
	if (document && cdi_spec_read(document, spec, &err) < 0)
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	return err.msg;
}

static const struct {
	const char *text, *error;
} rows[] = {
	{ HEAD("0.3.0") EDITS(ENV), "" },
	{ HEAD("v0.3.0") EDITS(ENV), "" },
	{ HEAD("\"1.1.0\"") EDITS(ENV), "" },
	{ HEAD("0.2.0") EDITS(ENV), "cdiVersion \"0.2.0\" is not supported, only 0.3.0 to 1.1.0" },
	{ HEAD("1.2.0") EDITS(ENV), "cdiVersion \"1.2.0\" is not supported" },
	{ HEAD("0.3") EDITS(ENV), "cdiVersion \"0.3\" is not supported" },
	{ "{kind: v/c, " EDITS(ENV), "cdiVersion is missing" },
	{ "{cdiVersion: 0.3.0, " EDITS(ENV), "invalid kind \"\"" },
	{ "{cdiVersion: 0.3.0, kind: v, " EDITS(ENV), "invalid kind \"v\"" },
	{ "{cdiVersion: 0.3.0, kind: [v], " EDITS(ENV), "kind: expected a text" },
	{ "[]", "expected a map" },
	{ "", "expected a map" },
	{ HEAD("0.3.0") "x: 1, " EDITS(ENV), "the spec: unknown field \"x\"" },
	{ HEAD("0.3.0") "devices: []}", "devices: expected a list with at least one" },
	{ HEAD("0.3.0") "devices: {}}", "devices: expected a list with at least one" },
	{ HEAD("0.3.0") "containerEdits: {}}", "devices: expected a list with at least one" },
	{ HEAD("0.3.0") "devices: [{name: d}]}", "containerEdits is missing" },
	{ HEAD("0.3.0") "devices: [{name: d, containerEdits: {}}]}", "containerEdits is missing" },
	{ HEAD("0.3.0") "devices: [x]}", "a device: expected a map" },
	{ HEAD("0.3.0") "devices: [{name: d, id: 1, containerEdits: {" ENV "}}]}",
	  "a device: unknown field \"id\"" },
	{ HEAD("0.3.0") "devices: [{name: -d, containerEdits: {" ENV "}}]}",
	  "invalid name \"-d\" of a device" },
	{ HEAD("0.3.0") "devices: [{name: d, containerEdits: {" ENV "}}, "
			"{name: d, containerEdits: {" ENV "}}]}",
	  "device \"d\" is given twice" },
	/* additions of each version */
	{ HEAD("0.3.0") EDITS("mounts: [{hostPath: /a, containerPath: /b, type: bind}]"),
	  "mounts: \"type\" needs a newer cdiVersion" },
	{ HEAD("0.4.0") EDITS("mounts: [{hostPath: /a, containerPath: /b, type: bind}]"), "" },
	{ HEAD("0.4.0") EDITS("deviceNodes: [{path: /dev/a, hostPath: /dev/b}]"),
	  "deviceNodes: \"hostPath\" needs a newer cdiVersion" },
	{ HEAD("0.5.0") EDITS("deviceNodes: [{path: /dev/a, hostPath: /dev/b}]"), "" },
	{ HEAD("0.4.0") "devices: [{name: 0, containerEdits: {" ENV "}}]}",
	  "a digit at the beginning needs cdiVersion 0.5.0" },
	{ HEAD("0.5.0") "devices: [{name: 0, containerEdits: {" ENV "}}]}", "" },
	{ HEAD("0.5.0") "annotations: {a: b}, " EDITS(ENV),
	  "the spec: \"annotations\" needs a newer cdiVersion" },
	{ HEAD("0.6.0") "annotations: {a: b}, " EDITS(ENV), "" },
	{ HEAD("0.6.0") "annotations: {a: [b]}, " EDITS(ENV), "\"a\" is not a text" },
	{ "{cdiVersion: 0.5.0, kind: v/c.d, " EDITS(ENV), "a dot in the class" },
	{ "{cdiVersion: 0.6.0, kind: v/c.d, " EDITS(ENV), "" },
	{ HEAD("0.6.0") EDITS("additionalGids: [5]"),
	  "containerEdits: \"additionalGids\" needs a newer cdiVersion" },
	{ HEAD("0.7.0") EDITS("additionalGids: [5]"), "" },
	{ HEAD("0.6.0") EDITS("intelRdt: {closID: x}"), "\"intelRdt\" needs a newer" },
	{ HEAD("0.7.0") EDITS("intelRdt: {closID: x}"), "" },
	{ HEAD("1.0.0") EDITS("intelRdt: {schemata: [x]}"), "\"schemata\" needs a newer" },
	{ HEAD("1.0.0") EDITS("netDevices: [{hostInterfaceName: a, name: b}]"),
	  "\"netDevices\" needs a newer" },
	{ HEAD("1.1.0") EDITS("netDevices: [{hostInterfaceName: a, name: b}]"), "" },
	/* fields */
	{ HEAD("0.3.0") EDITS("env: [A]"), "env: invalid entry \"A\"" },
	{ HEAD("0.3.0") EDITS("env: [=b]"), "env: invalid entry \"=b\"" },
	{ HEAD("0.3.0") EDITS("env: A=b"), "env: expected a list" },
	{ HEAD("0.3.0") EDITS("env: [[A=b]]"), "env: invalid entry \"\"" },
	{ HEAD("0.3.0") EDITS("devices: []"), "containerEdits: unknown field \"devices\"" },
	{ HEAD("0.3.0") EDITS("deviceNodes: {}"), "deviceNodes: expected a list" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{}]"), "path: \"\" is not an absolute path" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /etc/a}]"), "\"/etc/a\" is not below /dev" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/../a}]"), "contains \"..\"" },
	{ HEAD("0.5.0") EDITS("deviceNodes: [{path: /dev/a, hostPath: b}]"),
	  "hostPath: \"b\" is not an absolute path" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, type: x}]"), "invalid type \"x\"" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, permissions: rx}]"),
	  "invalid permissions \"rx\"" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, permissions: rwmr}]"),
	  "invalid permissions \"rwmr\"" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, permissions: none}]"), "" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, major: 4096}]"),
	  "major: expected a number from 0 to 4095" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, minor: -1}]"), "minor: expected" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, fileMode: '438'}]"),
	  "fileMode: expected a number" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, uid: 4294967295}]"), "uid: expected" },
	{ HEAD("0.3.0") EDITS("deviceNodes: [{path: /dev/a, gid: x}]"), "gid: expected" },
	{ HEAD("0.3.0") EDITS("mounts: [{hostPath: /a}]"), "containerPath: \"\" is not" },
	{ HEAD("0.3.0") EDITS("mounts: [{containerPath: /a}]"), "hostPath is missing" },
	{ HEAD("0.3.0") EDITS("mounts: [{hostPath: /a, containerPath: /b, options: ro}]"),
	  "options: expected a list" },
	{ HEAD("0.3.0") EDITS("hooks: [{hookName: x, path: /a}]"), "invalid hookName \"x\"" },
	{ HEAD("0.3.0") EDITS("hooks: [{hookName: poststop, path: a}]"), "path: \"a\" is not" },
	{ HEAD("0.3.0") EDITS("hooks: [{hookName: poststop, path: /a, timeout: 0}]"),
	  "timeout: expected a number from 1" },
	{ HEAD("0.3.0") EDITS("hooks: [{hookName: poststop, path: /a, env: [x]}]"),
	  "env: invalid entry \"x\"" },
	{ HEAD("0.7.0") EDITS("additionalGids: [-1]"), "additionalGids: invalid group" },
	{ HEAD("0.7.0") EDITS("additionalGids: 5"), "additionalGids: expected a list" },
	/* null is the same as nothing */
	{ HEAD("0.3.0") EDITS("env: [A=b], mounts: null, hooks: ~"), "" },
};

Test(cdi_spec, specs)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct cdi_spec spec;
		struct arena arena;
		const char *error;

		arena_init(&arena, 1 << 20);
		error = check(&arena, rows[i].text, &spec);
		CHECK(*rows[i].error ? strstr(error, rows[i].error) != NULL : !*error, "%s: %s",
		      rows[i].text, error);
		arena_release(&arena);
	}
}

/* An invalid spec has its kind nevertheless, so that a wait for the kind can name it. */
Test(cdi_spec, kind_of_an_invalid_spec)
{
	struct cdi_spec spec;
	struct arena arena;

	arena_init(&arena, 1 << 20);
	CHECK(*check(&arena, "{kind: v/c, cdiVersion: 9}", &spec));
	CHECK_STR(spec.kind, "v/c");
	CHECK(*check(&arena, "{kind: v, cdiVersion: 0.3.0}", &spec));
	CHECK(!spec.kind);
	arena_release(&arena);
}

/* A spec of the form that nvidia-ctk writes. */
static const char text[] =
	"---\n"
	"cdiVersion: 0.7.0\n"
	"kind: nvidia.com/gpu\n"
	"devices:\n"
	"- name: \"0\"\n"
	"  containerEdits:\n"
	"    deviceNodes:\n"
	"    - path: /dev/nvidia0\n"
	"    - path: /dev/nvidiactl\n"
	"      permissions: rw\n"
	"    additionalGids: [44, 0]\n"
	"- name: all\n"
	"  containerEdits:\n"
	"    deviceNodes:\n"
	"    - {path: /dev/nvidia0, fileMode: 438, uid: 1, gid: 2, type: c, major: 195, minor: 7}\n"
	"containerEdits:\n"
	"  env:\n"
	"  - NVIDIA_VISIBLE_DEVICES=void\n"
	"  hooks:\n"
	"  - hookName: createContainer\n"
	"    path: /usr/bin/nvidia-cdi-hook\n"
	"    args:\n"
	"    - nvidia-cdi-hook\n"
	"    - update-ldcache\n"
	"    - --folder\n"
	"    - /usr/lib64\n"
	"    env:\n"
	"    - DEBUG=false\n"
	"    timeout: 7\n"
	"  mounts:\n"
	"  - hostPath: /usr/lib64/libcuda.so.550\n"
	"    containerPath: /usr/lib64/libcuda.so.550\n"
	"    options:\n"
	"    - ro\n"
	"    - bind\n";

Test(cdi_spec, collected_changes)
{
	struct error err = ERROR_INIT;
	struct cdi_edits e;
	struct cdi_spec spec;
	struct arena arena;
	const Grpc__Hook *hook;
	const Grpc__Mount *mount;

	arena_init(&arena, 4 << 20);
	CHECK_STR(check(&arena, text, &spec), "");
	CHECK_STR(spec.kind, "nvidia.com/gpu");
	CHECK(!cdi_spec_device(&spec, "1"));
	REQUIRE_OK(cdi_edits_init(&e, &arena, &err), &err);
	REQUIRE_OK(cdi_edits_add(&e, spec.edits, spec.version, &err), &err);
	REQUIRE_OK(cdi_edits_add(&e, cdi_device_edits(cdi_spec_device(&spec, "0")), spec.version,
				 &err),
		   &err);
	REQUIRE_EQ(e.process.n_env, 1u);
	CHECK_STR(e.process.env[0], "NVIDIA_VISIBLE_DEVICES=void");
	REQUIRE_EQ(e.hooks.n_createcontainer, 1u);
	hook = e.hooks.createcontainer[0];
	CHECK_STR(hook->path, "/usr/bin/nvidia-cdi-hook");
	REQUIRE_EQ(hook->n_args, 4u);
	CHECK_STR(hook->args[3], "/usr/lib64");
	REQUIRE_EQ(hook->n_env, 1u);
	CHECK_EQ(hook->timeout, 7);
	REQUIRE_EQ(e.spec.n_mounts, 1u);
	mount = e.spec.mounts[0];
	CHECK_STR(mount->type, "bind", "the default");
	CHECK_STR(mount->source, "/usr/lib64/libcuda.so.550");
	REQUIRE_EQ(mount->n_options, 2u);
	REQUIRE_EQ(e.user.n_additionalgids, 1u, "0 is ignored");
	CHECK_EQ(e.user.additionalgids[0], 44u);
	REQUIRE_EQ(e.n_nodes, 2u);
	CHECK_STR(e.nodes[0]->host_path, "/dev/nvidia0");
	CHECK_STR(e.nodes[0]->access, "");
	CHECK_STR(e.nodes[1]->access, "rw");
	CHECK(!e.nodes[0]->has_uid && !e.nodes[0]->has_mode);
	/* A node of the same path is replaced. */
	REQUIRE_OK(cdi_edits_add(&e, cdi_device_edits(cdi_spec_device(&spec, "all")), spec.version,
				 &err),
		   &err);
	REQUIRE_EQ(e.n_nodes, 2u);
	CHECK(e.nodes[0]->has_uid && e.nodes[0]->has_gid && e.nodes[0]->has_mode);
	CHECK_EQ(e.nodes[0]->device.filemode, 0666u);
	CHECK_EQ(e.nodes[0]->device.major, 195);
	arena_release(&arena);
}

Test(cdi_spec, not_supported_in_a_guest)
{
	static const char *const edits[] = { "{intelRdt: {closID: x}}",
					     "{netDevices: [{hostInterfaceName: a, name: b}]}" };

	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		struct error err = ERROR_INIT;
		struct arena arena;
		const struct yaml_node *node;
		struct cdi_edits e;

		arena_init(&arena, 1 << 20);
		node = yaml_parse(&arena, edits[i], strlen(edits[i]), &err);
		REQUIRE(node && cdi_edits_init(&e, &arena, &err) == 0, "%s", err.msg);
		CHECK_EQ(cdi_edits_add(NULL, node, CDI_1_1, &err), 0, "others may be used");
		CHECK_EQ(cdi_edits_add(&e, node, CDI_1_1, &err), -1);
		CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION);
		CHECK(strstr(err.msg, "is not supported"), "%s", err.msg);
		arena_release(&arena);
	}
}

Test(cdi_spec, more_additions_than_a_container_may_have)
{
	struct error err = ERROR_INIT;
	static char many[CDI_EDITS_MAX * 8 + 64];
	size_t n = (size_t)sprintf(many, "{env: [");
	const struct yaml_node *node;
	struct cdi_edits e;
	struct arena arena;

	for (int i = 0; i < CDI_EDITS_MAX; i++)
		n += (size_t)sprintf(many + n, "A%d=b,", i);
	n += (size_t)sprintf(many + n, "]}");
	arena_init(&arena, 4 << 20);
	node = yaml_parse(&arena, many, n, &err);
	REQUIRE(node && cdi_edits_init(&e, &arena, &err) == 0, "%s", err.msg);
	REQUIRE_OK(cdi_edits_add(&e, node, CDI_0_3, &err), &err);
	CHECK_EQ(cdi_edits_add(&e, node, CDI_0_3, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	arena_release(&arena);
}
