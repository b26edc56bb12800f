/* SPDX-License-Identifier: Apache-2.0 */
/* Merging, deadlines and validation of hooks, and their JSON state. tests/oci runs hooks. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/container/hooks/hooks.h"
#include "agent/container/spec/json.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

static char path_a[] = "/a", path_b[] = "/b", relative[] = "c";

Test(hooks, merged_in_order)
{
	Grpc__Hook a = GRPC__HOOK__INIT, b = GRPC__HOOK__INIT;
	Grpc__Hook *list_a[] = { &a }, *list_b[] = { &b };
	Grpc__Hooks spec = GRPC__HOOKS__INIT, guest = GRPC__HOOKS__INIT, merged;
	struct error err = ERROR_INIT;

	a.path = path_a;
	b.path = path_b;
	spec.prestart = list_a;
	guest.prestart = list_b;
	guest.poststop = list_b;
	spec.n_prestart = guest.n_prestart = guest.n_poststop = 1;
	REQUIRE_OK(hooks_merge(&spec, &guest, &merged, &err), &err);
	REQUIRE_EQ(merged.n_prestart, 2);
	REQUIRE(merged.prestart[0] == &a && merged.prestart[1] == &b);
	REQUIRE_EQ(merged.n_poststop, 1);
	REQUIRE_EQ(merged.n_poststart, 0);
	hooks_merge_release(&merged);
	REQUIRE_OK(hooks_merge(NULL, &guest, &merged, &err), &err);
	REQUIRE(hooks_has(&merged, HOOK_POSTSTOP) && !hooks_has(&merged, HOOK_START_CONTAINER));
	hooks_merge_release(&merged);
	REQUIRE(!hooks_has(NULL, HOOK_PRESTART));
}

Test(hooks, times)
{
	Grpc__Hook a = GRPC__HOOK__INIT, b = GRPC__HOOK__INIT;
	Grpc__Hook *both[] = { &a, &b };
	Grpc__Hooks h = GRPC__HOOKS__INIT;
	struct hook_times t = hooks_times(NULL);

	REQUIRE(t.create_ms == 0 && t.start_ms == 0 && t.stop_ms == 0);
	a.timeout = 3;
	h.createcontainer = h.poststart = both;
	h.n_createcontainer = h.n_poststart = 2;
	t = hooks_times(&h);
	/* one has the usual 10 s */
	REQUIRE_EQ(t.create_ms, 13000);
	REQUIRE_EQ(t.start_ms, 13000);
	REQUIRE_EQ(t.stop_ms, 0);
}

Test(hooks, refusals)
{
	Grpc__Hook a = GRPC__HOOK__INIT, *list[HOOKS_MAX + 1];
	Grpc__Hooks h = GRPC__HOOKS__INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i] = &a;
	a.path = path_a;
	h.startcontainer = list;
	h.n_startcontainer = HOOKS_MAX;
	REQUIRE_OK(hooks_validate(&h, &err), &err);
	h.n_startcontainer++;
	REQUIRE_EQ(hooks_validate(&h, &err), -1);
	REQUIRE_HAS(err.msg, "hooks.startContainer: more than");
	h.n_startcontainer = 1;
	a.timeout = HOOK_TIMEOUT_MAX_S + 1;
	REQUIRE_EQ(hooks_validate(&h, &err), -1);
	REQUIRE_HAS(err.msg, "hooks.startContainer.timeout");
	a.timeout = 0;
	a.path = relative;
	REQUIRE_EQ(hooks_validate(&h, &err), -1);
	REQUIRE_HAS(err.msg, "hooks.startContainer.path: \"c\" is not absolute");
	REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
}

/* Names are the runtime specification's, fields with default values are omitted, and maps are
 * objects. */
Test(hooks, config_json)
{
	static char key[] = "net.x", value[] = "a\"b\x1f", version[] = "1.1.0", path[] = "/r";
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	Grpc__Linux linux_part = GRPC__LINUX__INIT;
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;
	Grpc__LinuxIDMapping map = GRPC__LINUX_IDMAPPING__INIT, *maps[] = { &map };
	Grpc__Linux__SysctlEntry entry = GRPC__LINUX__SYSCTL_ENTRY__INIT, *entries[] = { &entry };
	struct buf b;

	spec.version = version;
	spec.root = &root;
	spec.linux = &linux_part;
	root.path = path;
	root.readonly = true;
	linux_part.uidmappings = maps;
	linux_part.n_uidmappings = 1;
	map.hostid = 100000;
	map.size = 1;
	linux_part.sysctl = entries;
	linux_part.n_sysctl = 1;
	entry.key = key;
	entry.value = value;
	linux_part.resources = &resources;
	resources.cpu = &cpu;
	cpu.quota = -1;
	buf_init(&b, 4096);
	REQUIRE_EQ(json_spec(&b, &spec), 0);
	REQUIRE_EQ(buf_append(&b, "", 1), 0);
	REQUIRE(strcmp((const char *)buf_head(&b),
		       "{\"ociVersion\":\"1.1.0\",\"root\":{\"path\":\"/r\",\"readonly\":true},"
		       "\"linux\":{\"uidMappings\":[{\"hostID\":100000,\"size\":1}],"
		       "\"sysctl\":{\"net.x\":\"a\\\"b\\u001f\"},"
		       "\"resources\":{\"cpu\":{\"quota\":-1}}}}") == 0);
	buf_release(&b);
	/* A full buffer is an error, not a truncated text. */
	buf_init(&b, 20);
	REQUIRE_EQ(json_spec(&b, &spec), -1);
	buf_release(&b);
}
