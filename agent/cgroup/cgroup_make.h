/* SPDX-License-Identifier: Apache-2.0 */
/* Creation of a container's cgroup, with limits and device rules. Worker only: may block. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/cgroup/devices.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "oci.pb-c.h"

struct worker;

/* The cgroup to make. */
struct cgroup_spec {
	const struct roots *roots;
	/* Relative to the cgroup root. */
	const char *path;
	/* The container's id, for messages. */
	const char *id;
	/* The container's; its resources and devices are used. */
	const Grpc__Spec *spec;
	/* A device rule for all devices includes disks. */
	bool any_disk;
	/* A program to reuse if the rules are the same; NULL: none. */
	const struct device_program *known;
	/* The user that the cgroup is delegated to; 0: none. */
	uid_t owner;
};

/* A cgroup with all that is needed to watch it. */
struct cgroup_made {
	int fd;
	/* Its memory.events; -1: the kernel has no memory controller. */
	int events;
	/* The number of OOM kills before the container starts. */
	uint64_t oom_kills;
	/* The id of the attached device program; 0: none. */
	uint32_t device_program;
	/* The program if it was loaded for this cgroup. Its fd is -1 if `known` was used. */
	struct device_program loaded;
};

#define CGROUP_MADE_NONE ((struct cgroup_made){ .fd = -1, .events = -1, .loaded = { .fd = -1 } })

/* Announces that the cgroup at `path` will be made; refuses one that is in use. Returns 0, or -1
 * and err. */
int cgroup_announce(struct worker *w, const struct roots *roots, const char *path,
		    struct error *err);

/* Makes the announced cgroup with limits and device rules. Returns 0, or -1 and err; the
 * caller calls cgroup_made_release() in both cases. Leaves *made, which must be CGROUP_MADE_NONE,
 * unchanged if the guest has no cgroups. */
int cgroup_make(struct worker *w, const struct cgroup_spec *c, struct cgroup_made *made,
		struct error *err);
void cgroup_made_release(struct cgroup_made *made);
