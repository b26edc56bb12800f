/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp profiles of containers: the one of container engines, and those of files. Results are
 * allocated in an arena. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent.pb-c.h"
#include "lib/arena.h"
#include "lib/error.h"

/* The properties of a container on which the rules of a profile may depend. */
struct seccomp_target {
	/* architecture of the guest, as in uname(2) */
	const char *arch;
	/* bounding set: "CAP_CHOWN" */
	const char *const *caps;
	size_t n_caps;
};

/* Returns the profile of RuntimeDefault, or NULL if memory is exhausted. Pure. */
Grpc__LinuxSeccomp *seccomp_default(struct arena *a, const struct seccomp_target *target);

/*
 * Reads a profile in the format of the runtime specification or in Docker's, in which rules depend
 * on capabilities, architectures and the kernel. *out is NULL for a profile without a default
 * action and rules. Returns 0, or -1 and err: INVALID_ARGUMENT with the member that is invalid, or
 * that the agent's protocol cannot express. seccomp_read_file() may block.
 */
int seccomp_read_file(struct arena *a, const char *path, const struct seccomp_target *target,
		      Grpc__LinuxSeccomp **out, struct error *err);
int seccomp_parse(struct arena *a, const char *text, size_t size,
		  const struct seccomp_target *target, Grpc__LinuxSeccomp **out, struct error *err);

/* Returns whether the bounding set has a capability. */
bool seccomp_has_cap(const struct seccomp_target *target, const char *name);

/* Returns Docker's name of the guest's architecture: "amd64". */
const char *seccomp_arch_name(const struct seccomp_target *target);
