/* SPDX-License-Identifier: Apache-2.0 */
/* The spec of a container with what its CDI devices add. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/cdi/edits.h"
#include "agent/cdi/merge.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

static char *
text_of(const char *s)
{
	return (char *)(uintptr_t)s;
}

struct bench {
	struct arena arena;
	Grpc__Spec spec;
	Grpc__Process process;
	Grpc__User user;
	Grpc__Linux linux_part;
	Grpc__Mount mounts[3], *mount_list[3];
	Grpc__LinuxDevice device, *device_list[1];
	char *env[3];
	uint32_t gids[1];
	struct cdi_edits edits;
	struct error err;
};

/* A spec with one of each, and changes that were read from a text. */
static void
bench_make(struct bench *b, const char *edits)
{
	static const char *const destinations[] = { "/proc", "/usr/lib", "/data/deep/er" };
	const struct yaml_node *node;

	*b = (struct bench){ .err = ERROR_INIT };
	arena_init(&b->arena, 4 << 20);
	grpc__spec__init(&b->spec);
	grpc__process__init(&b->process);
	grpc__user__init(&b->user);
	grpc__linux__init(&b->linux_part);
	grpc__linux_device__init(&b->device);
	b->spec.process = &b->process;
	b->spec.linux = &b->linux_part;
	b->process.user = &b->user;
	b->env[0] = text_of("PATH=/bin");
	b->env[1] = text_of("A=old");
	b->env[2] = text_of("AB=other");
	b->process.env = b->env;
	b->process.n_env = 3;
	b->gids[0] = 4;
	b->user.uid = 9;
	b->user.additionalgids = b->gids;
	b->user.n_additionalgids = 1;
	b->device.path = text_of("/dev/a");
	b->device_list[0] = &b->device;
	b->linux_part.devices = b->device_list;
	b->linux_part.n_devices = 1;
	for (size_t i = 0; i < 3; i++) {
		grpc__mount__init(&b->mounts[i]);
		b->mounts[i].destination = text_of(destinations[i]);
		b->mount_list[i] = &b->mounts[i];
	}
	b->spec.mounts = b->mount_list;
	b->spec.n_mounts = 3;
	node = yaml_parse(&b->arena, edits, strlen(edits), &b->err);
	REQUIRE(node && cdi_edits_init(&b->edits, &b->arena, &b->err) == 0 &&
			cdi_edits_add(&b->edits, node, CDI_1_1, &b->err) == 0,
		"%s", b->err.msg);
}

Test(merge, additions)
{
	const Grpc__Spec *merged;
	struct bench b;

	bench_make(&b, "{env: [A=new, B=1], additionalGids: [44],"
		       "mounts: [{hostPath: /x, containerPath: /usr/lib},"
		       "{hostPath: /y, containerPath: /usr/lib/deep/file},"
		       "{hostPath: /z, containerPath: /data}],"
		       "hooks: [{hookName: poststart, path: /h}]}");
	merged = cdi_merge(&b.arena, &b.spec, &b.edits.spec, &b.err);
	REQUIRE(merged, "%s", b.err.msg);
	REQUIRE_EQ(merged->process->n_env, 4u);
	CHECK_STR(merged->process->env[0], "PATH=/bin");
	CHECK_STR(merged->process->env[1], "AB=other");
	CHECK_STR(merged->process->env[2], "A=new");
	CHECK_STR(merged->process->env[3], "B=1");
	CHECK_EQ(merged->process->user->uid, 9u);
	REQUIRE_EQ(merged->process->user->n_additionalgids, 2u);
	CHECK_EQ(merged->process->user->additionalgids[1], 44u);
	/* A mount of a directory is before those below it. */
	REQUIRE_EQ(merged->n_mounts, 5u);
	CHECK_STR(merged->mounts[0]->destination, "/proc");
	CHECK_STR(merged->mounts[1]->destination, "/data");
	CHECK_STR(merged->mounts[2]->destination, "/usr/lib");
	CHECK_STR(merged->mounts[2]->source, "/x", "the spec's is replaced");
	CHECK_STR(merged->mounts[3]->destination, "/data/deep/er");
	CHECK_STR(merged->mounts[4]->destination, "/usr/lib/deep/file");
	REQUIRE_EQ(merged->hooks->n_poststart, 1u);
	CHECK_STR(merged->hooks->poststart[0]->path, "/h");
	/* The host's spec is as it was. */
	CHECK_EQ(b.spec.n_mounts, 3u);
	CHECK_STR(b.process.env[1], "A=old");
	CHECK(!b.spec.hooks);
	arena_release(&b.arena);
}

Test(merge, hooks_are_appended)
{
	Grpc__Hook hook = GRPC__HOOK__INIT, *list[] = { &hook };
	Grpc__Hooks hooks = GRPC__HOOKS__INIT;
	const Grpc__Spec *merged;
	struct bench b;

	bench_make(&b, "{hooks: [{hookName: poststop, path: /h}, {hookName: prestart, path: /i}]}");
	hook.path = text_of("/first");
	hooks.poststop = list;
	hooks.n_poststop = 1;
	b.spec.hooks = &hooks;
	merged = cdi_merge(&b.arena, &b.spec, &b.edits.spec, &b.err);
	REQUIRE(merged && merged->hooks->n_poststop == 2 && merged->hooks->n_prestart == 1);
	CHECK_STR(merged->hooks->poststop[0]->path, "/first");
	CHECK_STR(merged->hooks->poststop[1]->path, "/h");
	CHECK_EQ(merged->n_mounts, 3u);
	CHECK_STR(merged->mounts[1]->destination, "/usr/lib", "the order without mounts");
	arena_release(&b.arena);
}

Test(merge, devices_and_their_rules)
{
	Grpc__LinuxDevice devices[2], *list[] = { &devices[0], &devices[1] };
	Grpc__LinuxDeviceCgroup rule = GRPC__LINUX_DEVICE_CGROUP__INIT, *rules[] = { &rule };
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	Grpc__Linux added = GRPC__LINUX__INIT;
	struct device_number numbers[1];
	const Grpc__Spec *merged;
	struct bench b;

	bench_make(&b, "{env: [A=b]}");
	grpc__linux_device__init(&devices[0]);
	grpc__linux_device__init(&devices[1]);
	devices[0].path = text_of("/dev/b");
	devices[1].path = text_of("/dev/a");
	devices[1].minor = 5;
	rule.type = text_of("c");
	rule.major = 195;
	rule.minor = 5;
	rule.access = text_of("rw");
	resources.devices = rules;
	resources.n_devices = 1;
	added.devices = list;
	added.n_devices = 2;
	added.resources = &resources;
	b.edits.spec.linux = &added;
	merged = cdi_merge(&b.arena, &b.spec, &b.edits.spec, &b.err);
	REQUIRE(merged && merged->linux->n_devices == 2);
	CHECK_STR(merged->linux->devices[0]->path, "/dev/b");
	CHECK_STR(merged->linux->devices[1]->path, "/dev/a");
	CHECK_EQ(merged->linux->devices[1]->minor, 5, "the spec's is replaced");
	CHECK(!merged->linux->resources, "the rules are added by the launch");
	REQUIRE_EQ(cdi_numbers(&b.edits.spec, numbers, 1, &b.err), 1);
	CHECK(numbers[0].type == 'c' && numbers[0].major == 195 && numbers[0].minor == 5);
	CHECK_EQ(numbers[0].host_major, DEVICE_NOT_ON_HOST);
	CHECK_STR(numbers[0].access, "rw");
	CHECK_EQ(cdi_numbers(&b.edits.spec, numbers, 0, &b.err), -1);
	CHECK_EQ(b.err.code, ERROR_RESOURCE_EXHAUSTED);
	arena_release(&b.arena);
}

Test(merge, too_small_an_arena)
{
	struct arena small;
	struct bench b;

	bench_make(&b, "{env: [A=b]}");
	arena_init(&small, 64);
	CHECK(!cdi_merge(&small, &b.spec, &b.edits.spec, &b.err));
	CHECK_EQ(b.err.code, ERROR_RESOURCE_EXHAUSTED);
	arena_release(&small);
	arena_release(&b.arena);
}
