/* SPDX-License-Identifier: Apache-2.0 */
/* Who a process runs as: ids as given, or looked up in the container's own files. In the new process. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

struct user {
	uint32_t uid, gid;
	const uint32_t *groups; /* the spec's, or looked up; lives until execve */
	size_t n_groups;
};

/* Whom a spec means (NULL: root). With a username ("name" or "name:group", each may be a number) the uid is that of
 * /etc/passwd below root_fd, the gid the spec's if it has one, else the group's, else that of /etc/passwd; the groups
 * in /etc/group that list the user come after the spec's. -1: INVALID_ARGUMENT, with the file that lacks it. */
int user_resolve(int root_fd, const Grpc__User *spec, struct user *out, struct error *err);

/* The home directory of uid by /etc/passwd below root_fd, or "/". */
void user_home(int root_fd, uint32_t uid, char *out, size_t size);

/* Becomes root of the caller's user namespace. */
int user_become_root(struct error *err);

/* setgroups, setgid, setuid, keeping capabilities until cap_sets_apply(). */
int user_become(const struct user *user, struct error *err);
