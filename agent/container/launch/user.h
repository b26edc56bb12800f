/* SPDX-License-Identifier: Apache-2.0 */
/* The user of a process: ids as given, or looked up in the container's files. Runs in the new
 * process. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

struct user {
	uint32_t uid, gid;
	/* The spec's, or allocated; lives until execve. */
	const uint32_t *groups;
	size_t n_groups;
};

/* Resolves the user of a spec (NULL: root). With a username ("name" or "name:group", each may be
 * a number), the uid is that of /etc/passwd below root_fd; the gid is the spec's if it has one,
 * otherwise the group's, otherwise that of /etc/passwd; the groups in /etc/group that list the
 * user follow the spec's. Returns 0, or -1 and INVALID_ARGUMENT with the file that lacks the
 * entry. */
int user_resolve(int root_fd, const Grpc__User *spec, struct user *out, struct error *err);

/* Writes the home directory of `uid` from /etc/passwd below root_fd, or "/". */
void user_home(int root_fd, uint32_t uid, char *out, size_t size);

/* Becomes root of the caller's user namespace. Returns 0, or -1 and err. */
int user_become_root(struct error *err);

/* Sets groups, gid and uid, and keeps capabilities until cap_sets_apply(). Returns 0, or -1 and
 * err. */
int user_become(const struct user *user, struct error *err);
