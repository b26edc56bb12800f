/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's spec (grpc.Spec). A refusal has a reason; an accepted spec has the properties on
 * which the rest of agent/container relies: paths without "..", valid mounts, a cgroup below pods/.
 */
#include <limits.h>
#include <string.h>

#include "agent/cgroup/path.h"
#include "agent/container/launch/params.h"
#include "agent/container/ns/namespaces.h"
#include "agent/container/rootfs/mount_plan.h"
#include "agent/container/spec/validate.h"
#include "lib/pbcheck.h"
#include "tests/fuzz/pbmutate.h"
#include "tests/fuzz/target.h"

static bool
goes_up(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += strspn(p, "/");
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || !p[2]))
			return true;
	}
	return false;
}

static void
expect_path(const char *path)
{
	MUST(*path == '/' && strlen(path) < PATH_MAX && !goes_up(path));
}

static void
expect_mounts(const Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct container_mount m;
		struct error err = ERROR_INIT;

		expect_path(spec->mounts[i]->destination);
		MUST(mount_understand(spec->mounts[i], &m, &err) == 0);
	}
}

static void
expect_linux(const Grpc__Linux *l)
{
	MUST(l && ns_find(l, NS_MNT));
	for (size_t i = 0; i < l->n_maskedpaths; i++)
		expect_path(l->maskedpaths[i]);
	for (size_t i = 0; i < l->n_readonlypaths; i++)
		expect_path(l->readonlypaths[i]);
	for (size_t i = 0; i < l->n_namespaces; i++)
		MUST(!*l->namespaces[i]->path || *l->namespaces[i]->path == '/');
}

static void
expect_cgroup(const char *cgroups_path)
{
	struct error err = ERROR_INIT;
	char path[PATH_MAX];

	if (cgroup_path_from_spec(cgroups_path, "c1", path, sizeof(path), &err) < 0) {
		MUST(err.code == ERROR_INVALID_ARGUMENT && *err.msg);
		return;
	}
	MUST(strncmp(path, "pods/", 5) == 0 && path[5] && !goes_up(path));
}

static void
expect_accepted(const Grpc__Spec *spec)
{
	struct error err = ERROR_INIT;

	MUST(spec->process && spec->process->n_args > 0 && *spec->process->args[0]);
	MUST(process_validate(spec->process, &err) == 0);
	MUST(spec->root);
	expect_path(spec->root->path);
	expect_mounts(spec);
	expect_linux(spec->linux);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	struct error err = ERROR_INIT;
	Grpc__Spec *spec = (Grpc__Spec *)pbcheck_unpack(&grpc__spec__descriptor, data, size,
							&limits, NULL, &err);

	if (!spec)
		return 0;
	if (spec_validate(spec, &err) == 0)
		expect_accepted(spec);
	else
		MUST((err.code == ERROR_INVALID_ARGUMENT ||
		      err.code == ERROR_FAILED_PRECONDITION) &&
		     *err.msg);
	if (spec->linux)
		expect_cgroup(spec->linux->cgroupspath);
	grpc__spec__free_unpacked(spec, NULL);
	return 0;
}

PB_MUTATOR(&grpc__spec__descriptor)
