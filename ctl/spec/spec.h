/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI spec and the requests that `tatamictl run` sends, modelled on a Kata runtime. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "ctl/spec/volume.h"
#include "ctl/vm/vm.h"
#include "lib/arena.h"
#include "lib/error.h"

#define SPEC_VOLUMES_MAX 15

/* Directory in the guest that holds the shares and roots of containers. */
#define SPEC_SHARED "/run/kata-containers/shared/containers"
/* Directory in it for the volumes that the agent watches. */
#define SPEC_WATCHABLE SPEC_SHARED "/watchable"
/* Directory in the guest with one of each container, named by its id. */
#define SPEC_CONTAINERS "/run/kata-containers"

/* A mount whose source already exists in the guest. */
struct spec_bind {
	const char *target, *type,
		/* type: "bind", or "local" for an emptyDir on disk */
		*source;
	bool readonly;
	/* its programs cannot be executed */
	bool no_exec;
};

/* A storage of the protocol; options are separated by commas. */
struct spec_storage {
	const char *driver, *source, *fstype, *options, *mount_point;
};

/* Properties of a pod's container in addition to struct container_options. */
struct spec_pod {
	/* name NULL: the sandbox's own (pause) container */
	const char *sandbox, *name;
	bool share_pids;
	/* bytes, 0: no limit */
	uint64_t memory;
	/* thousandths of a processor, 0: no limit */
	unsigned int milli;
	const struct spec_bind *binds;
	size_t n_binds;
	const struct spec_storage *storages;
	size_t n_storages;
};

/* Values of spec_bundle.volumes that are no index. */
enum {
	/* the source of the mount is the guest's */
	SPEC_MOUNT_AS_IT_IS = -1,
	/* a volume of the options has its target */
	SPEC_MOUNT_REPLACED = -2,
};

/* The spec of a bundle, which the options of a container change. */
struct spec_bundle {
	const Grpc__Spec *spec;
	/* by mount: index of the volume that is its source, or SPEC_MOUNT_... */
	const int *volumes;
	/* user and host name are those of the options */
	bool has_user, has_hostname;
};

/* The container to create. */
struct container_options {
	const char *id;
	const char *hostname;
	/* NULL-terminated, at least one */
	char *const *args;
	/* "KEY=value" */
	const char *const *env;
	size_t n_env;
	const char *cwd;
	uint32_t uid, gid;
	/* groups in addition to gid */
	const uint32_t *groups;
	size_t n_groups;
	bool terminal, read_only, privileged;
	/* target of a bind mount of the guest's own /proc, or NULL */
	const char *guest_proc;
	/* root directory in the guest; NULL: shares[0] */
	const char *root;
	/* shares[0] is read-only, and the root is an overlay over it whose writable layer is in the
	 * guest's memory, or on the disk `scratch` unless that is NULL */
	bool has_layer;
	const struct vm_share *scratch;
	const struct volume *volumes;
	size_t n_volumes;
	/* [0] the rootfs unless `root` is set; those of the volumes by their index */
	const struct vm_share *shares;
	/* NULL: not part of a pod */
	const struct spec_pod *pod;
	/* NULL: not of a bundle */
	const struct spec_bundle *bundle;
};

/* Inserts an entry before the user's entries, which take precedence. The array must have room. */
void spec_env_default(const char **env, size_t *n, const char *entry);

/* Return the names of all capabilities, and of those that a container has by default. */
const char *const *spec_all_caps(size_t *n);
const char *const *spec_default_caps(size_t *n);

/* Build requests in the arena. Return NULL if out of memory. */
Grpc__CreateSandboxRequest *spec_sandbox(struct arena *a, const char *id, const char *hostname);

/* Adds storages and lines of resolv.conf to a request. Returns -1 if out of memory. */
int spec_sandbox_add(struct arena *a, Grpc__CreateSandboxRequest *r, const struct vm_share *shares,
		     const char *const *points, size_t n, const char *const *dns, size_t n_dns);
Grpc__CreateContainerRequest *spec_container(struct arena *a, const struct container_options *o);
Grpc__Process *spec_process(struct arena *a, const struct container_options *o);
