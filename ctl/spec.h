/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI spec and the requests that `tatamictl run` sends, as a Kata runtime would. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent.pb-c.h"
#include "ctl/vm/vm.h"
#include "lib/arena.h"
#include "lib/error.h"

#define SPEC_VOLUMES_MAX 15

struct volume {
	char source[PATH_MAX]; /* on the host */
	char target[PATH_MAX]; /* in the container */
	bool readonly, is_file;
};

/* A mount whose source lies in the guest already. */
struct spec_bind {
	const char *target, *type,
		*source; /* type: bind, or local as hosts name a disk's emptyDir */
	bool readonly;
};

/* A storage as it is sent; options separated by commas. */
struct spec_storage {
	const char *driver, *source, *fstype, *options, *mount_point;
};

/* What a container of a pod has beside the rest. */
struct spec_pod {
	const char *sandbox, *name; /* name NULL: it is the sandbox's own container */
	bool share_pids;
	const char *root;   /* in the guest; NULL: a share */
	uint64_t memory;    /* bytes, 0: no limit */
	unsigned int milli; /* of a processor, 0: no limit */
	const struct spec_bind *binds;
	size_t n_binds;
	const struct spec_storage *storages;
	size_t n_storages;
};

/* What shall run. */
struct container_options {
	const char *id;
	const char *hostname;
	char *const *args;      /* NULL-terminated, at least one */
	const char *const *env; /* "KEY=value" */
	size_t n_env;
	const char *cwd;
	uint32_t uid, gid;
	bool terminal, read_only, privileged;
	const char *guest_proc; /* where the guest's own /proc is bound; NULL: nowhere */
	const struct volume *volumes;
	size_t n_volumes;
	const struct vm_share *shares; /* [0] the rootfs, [1 + i] volume i */
	const struct spec_pod *pod;    /* NULL: a container by itself */
};

/* Puts an entry before those of a user, which win over it; there must be room. */
void spec_env_default(const char **env, size_t *n, const char *entry);

/* All in the arena. NULL: out of memory. */
Grpc__CreateSandboxRequest *spec_sandbox(struct arena *a, const char *id, const char *hostname);

/* Adds storages and lines of resolv.conf to it. -1: out of memory. */
int spec_sandbox_add(struct arena *a, Grpc__CreateSandboxRequest *r, const struct vm_share *shares,
		     const char *const *points, size_t n, const char *const *dns, size_t n_dns);
Grpc__CreateContainerRequest *spec_container(struct arena *a, const struct container_options *o);
Grpc__Process *spec_process(struct arena *a, const struct container_options *o);
