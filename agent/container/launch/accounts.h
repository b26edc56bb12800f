/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/passwd and /etc/group of a container, which wrote them itself: whatever they are, reading them ends, stays
 * inside the root and takes bounded memory. Runs in the new process, before execve. No C library's lookup is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define ACCOUNTS_MAX (1u << 20) /* bytes of a file that are looked at */

/* The text of one file; lines that hold a NUL are skipped. */
struct accounts {
	char *text; /* released by the caller */
	size_t n;
	bool cut; /* the file goes on */
};

/* Reads `path` ("etc/passwd") below root_fd, if it is a regular file. -1: INVALID_ARGUMENT and the reason. */
int accounts_read(int root_fd, const char *path, struct accounts *out, struct error *err);

void accounts_release(struct accounts *a);

/* A line of passwd(5). */
struct account {
	uint32_t uid, gid;
	char home[4096]; /* "" if it has no absolute one */
};

/* The first line of that name, or of that uid; false: none that is well-formed. */
bool accounts_by_name(const struct accounts *passwd, const char *name, struct account *out);
bool accounts_by_uid(const struct accounts *passwd, uint32_t uid, struct account *out);

/* The gid of the first line of group(5) of that name. */
bool accounts_group(const struct accounts *group, const char *name, uint32_t *gid);

/* The gids of the groups that list `name` as a member, at most `size` of them into gids; returns how many there
 * are. */
size_t accounts_groups_of(const struct accounts *group, const char *name, uint32_t *gids,
			  size_t size);
