/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of a spec. Pure: the file system is not accessed. The rest of container/ relies on it:
 * after it, every name and number of the spec is known to be valid. Each error names the field.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup/limits.h"
#include "agent/cgroup/unified.h"
#include "agent/container/hooks/hooks.h"
#include "agent/container/launch/params.h"
#include "agent/container/launch/sysctl.h"
#include "agent/container/ns/namespaces.h"
#include "agent/container/rootfs/devices.h"
#include "agent/container/rootfs/mount_plan.h"
#include "agent/container/seccomp/filter.h"
#include "agent/container/spec/validate.h"
#include "lib/cleanup.h"

/* The kernel's limit (uts_namespaces(7)). */
#define HOSTNAME_MAX 64

static int spec_check_root(const Grpc__Spec *spec, struct error *err);
static int spec_check_linux(const Grpc__Linux *l, struct error *err);
static int spec_check_namespaces(const Grpc__Linux *l, struct error *err);
static int spec_check_mappings(const Grpc__Linux *l, struct error *err);
static int spec_check_devices(const Grpc__Linux *l, struct error *err);
static int spec_check_sysctls(const Grpc__Linux *l, struct error *err);
static int spec_check_propagation(const Grpc__Linux *l, struct error *err);
static int spec_check_mounts(const Grpc__Spec *spec, struct error *err);

static int
spec_invalid(struct error *err, const char *field, const char *what)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "%s: %s", field, what);
}

/* Checks that a path is absolute, has no ".." and fits PATH_MAX. */
static int
spec_check_path(const char *field, const char *path, struct error *err)
{
	if (*path != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: \"%.128s\" is not absolute",
				 field, path);
	if (strlen(path) >= PATH_MAX)
		return spec_invalid(err, field, "too long");
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		p += strspn(p, "/");
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || !p[2]))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "%s: \"%.128s\" contains \"..\"", field, path);
	}
	return 0;
}

int
spec_validate(const Grpc__Spec *spec, struct error *err)
{
	if (!spec->process)
		return spec_invalid(err, "process", "missing");
	if (process_validate(spec->process, err) < 0)
		return -1;
	/* An exec inherits these from the container; a container must have them. */
	if (!*spec->process->cwd)
		return spec_invalid(err, "process.cwd", "missing");
	if (!spec->process->capabilities)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "process.capabilities: missing process capabilities");
	if (spec_check_root(spec, err) < 0 || spec_check_linux(spec->linux, err) < 0 ||
	    spec_check_mounts(spec, err) < 0 || unified_validate(spec, err) < 0)
		return -1;
	if (hooks_validate(spec->hooks, err) < 0 || sealed_validate(spec, err) < 0)
		return -1;
	if (strlen(spec->hostname) > HOSTNAME_MAX)
		return spec_invalid(err, "hostname", "longer than 64 bytes");
	if (*spec->hostname && !ns_find(spec->linux, NS_UTS))
		return spec_invalid(err, "hostname", "requires a uts namespace");
	return 0;
}

static int
spec_check_root(const Grpc__Spec *spec, struct error *err)
{
	if (!spec->root)
		return spec_invalid(err, "root", "missing");
	return spec_check_path("root.path", spec->root->path, err);
}

static int
spec_check_paths(const char *field, char *const *paths, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (spec_check_path(field, paths[i], err) < 0)
			return -1;
	}
	return 0;
}

static int
spec_check_linux(const Grpc__Linux *l, struct error *err)
{
	if (!l)
		return spec_invalid(err, "linux", "missing");
	if (spec_check_namespaces(l, err) < 0 || spec_check_mappings(l, err) < 0 ||
	    spec_check_devices(l, err) < 0 || spec_check_sysctls(l, err) < 0 ||
	    spec_check_propagation(l, err) < 0 ||
	    cgroup_limits_validate(l->resources, false, err) < 0)
		return -1;
	if (spec_check_paths("linux.maskedPaths", l->maskedpaths, l->n_maskedpaths, err) < 0 ||
	    spec_check_paths("linux.readonlyPaths", l->readonlypaths, l->n_readonlypaths, err) < 0)
		return -1;
	if (l->intelrdt)
		return spec_invalid(err, "linux.intelRdt",
				    "not supported: there is no resctrl in a guest");
	return l->seccomp ? filter_validate(l->seccomp, err) : 0;
}

/* Checks that each namespace has a known type and occurs once, and that there is a mount
 * namespace. */
static int
spec_check_namespaces(const Grpc__Linux *l, struct error *err)
{
	unsigned int seen = 0;

	if (!l->n_namespaces)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.namespaces: empty: \"mount\" is required, \"ipc\" and "
				 "\"uts\" are expected; without them the container would get the "
				 "guest's own (cannot find the pid ns)");
	for (size_t i = 0; i < l->n_namespaces; i++) {
		const Grpc__LinuxNamespace *ns = l->namespaces[i];
		enum ns_kind kind;

		if (!ns_kind_parse(ns->type, &kind))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.namespaces: invalid namespace type \"%.40s\"",
					 ns->type);
		if (seen & 1u << kind)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.namespaces: %s is given twice", ns->type);
		seen |= 1u << kind;
		if (*ns->path && spec_check_path("linux.namespaces.path", ns->path, err) < 0)
			return -1;
	}
	if (!(seen & 1u << NS_MNT))
		return spec_invalid(
			err, "linux.namespaces",
			"no mount namespace: \"mount\" is required, the container would "
			"change the guest's own mounts");
	return 0;
}

static bool
spec_any_mapping(Grpc__LinuxIDMapping *const *map, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (map[i]->size)
			return true;
	}
	return false;
}

static int
spec_check_mapping(const char *field, Grpc__LinuxIDMapping *const *map, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		if (map[i]->size > UINT32_MAX - map[i]->containerid ||
		    map[i]->size > UINT32_MAX - map[i]->hostid)
			return spec_invalid(err, field, "range exceeds 32 bits");
	}
	return 0;
}

static int
spec_check_mappings(const Grpc__Linux *l, struct error *err)
{
	const Grpc__LinuxNamespace *user = ns_find(l, NS_USER);
	bool uids = spec_any_mapping(l->uidmappings, l->n_uidmappings);
	bool gids = spec_any_mapping(l->gidmappings, l->n_gidmappings);

	if (spec_check_mapping("linux.uidMappings", l->uidmappings, l->n_uidmappings, err) < 0 ||
	    spec_check_mapping("linux.gidMappings", l->gidmappings, l->n_gidmappings, err) < 0)
		return -1;
	if (user && *user->path)
		return uids || gids
			       ? spec_invalid(err, uids ? "linux.uidMappings" : "linux.gidMappings",
					      "must be empty: the user namespace is joined by path")
			       : 0;
	if (user && !uids)
		return spec_invalid(err, "linux.uidMappings", "missing for a user namespace");
	if (user && !gids)
		return spec_invalid(err, "linux.gidMappings", "missing for a user namespace");
	if (!user && (uids || gids))
		return spec_invalid(err, uids ? "linux.uidMappings" : "linux.gidMappings",
				    "requires a user namespace");
	return 0;
}

static int
spec_check_devices(const Grpc__Linux *l, struct error *err)
{
	for (size_t i = 0; i < l->n_devices; i++) {
		const Grpc__LinuxDevice *d = l->devices[i];

		if (!device_name(d->path))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.devices: \"%.128s\" is not a path below /dev",
					 d->path);
		if (strlen(d->path) >= PATH_MAX)
			return spec_invalid(err, "linux.devices", "path too long");
		if (!*d->type || d->type[1] || !strchr("cbup", d->type[0]))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.devices: %.128s: unknown type \"%.8s\"", d->path,
					 d->type);
		if (d->major < 0 || d->major > 4095 || d->minor < 0 || d->minor > 1048575)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.devices: %.128s: number %" PRId64 ":%" PRId64
					 " is out of range",
					 d->path, d->major, d->minor);
		if (d->uid == UINT32_MAX || d->gid == UINT32_MAX)
			return spec_invalid(err, "linux.devices", "uid or gid is out of range");
	}
	return 0;
}

static int
spec_check_sysctls(const Grpc__Linux *l, struct error *err)
{
	for (size_t i = 0; i < l->n_sysctl; i++) {
		const char *key = l->sysctl[i]->key;

		if (!sysctl_is_allowed(key))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.sysctl: %.128s is not namespaced", key);
		if (strlen(l->sysctl[i]->value) > 4096)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.sysctl: %.128s: value too long", key);
		if ((strncmp(key, "kernel", 6) == 0 || strncmp(key, "fs", 2) == 0) &&
		    !ns_find(l, strstr(key, "domainname") ? NS_UTS : NS_IPC))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.sysctl: %.128s requires a namespace of its own",
					 key);
	}
	return 0;
}

static int
spec_check_propagation(const Grpc__Linux *l, struct error *err)
{
	static const char *const words[] = {
		"",      "private", "rprivate",   "shared",      "rshared",
		"slave", "rslave",  "unbindable", "runbindable",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i], l->rootfspropagation) == 0)
			return 0;
	}
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "linux.rootfsPropagation: invalid value \"%.40s\"", l->rootfspropagation);
}

static int
spec_check_mounts(const Grpc__Spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->n_mounts; i++) {
		struct container_mount understood;

		if (spec_check_path("mounts.destination", spec->mounts[i]->destination, err) < 0)
			return -1;
		if (mount_path_is(spec->mounts[i]->destination, ""))
			return spec_invalid(err, "mounts.destination",
					    "must not be the root directory");
		if (mount_understand(spec->mounts[i], &understood, err) < 0)
			return -1;
		if (understood.idmap && !ns_find(spec->linux, NS_USER))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "mounts: %.128s: option idmap or ridmap requires a "
					 "user namespace",
					 spec->mounts[i]->destination);
	}
	return 0;
}
