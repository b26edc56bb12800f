/* SPDX-License-Identifier: Apache-2.0 */
/* The /etc/passwd and /etc/group of a container. The container controls the files, so they are read
 * with bounded time and memory, and never outside of the root; look-ups of the C library are not
 * used. Runs in the new process, before execve.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Limit on the part of a file that is read, in bytes. */
#define ACCOUNTS_MAX (1u << 20)

/* The text of one file. Lines with a NUL are skipped. */
struct accounts {
	/* Released by accounts_release(). */
	char *text;
	size_t n;
	/* The file is longer than the text. */
	bool cut;
};

/* Reads `path` ("etc/passwd") below root_fd if it is a regular file. Returns 0, or -1 and err:
 * INVALID_ARGUMENT with the reason. May block. */
int accounts_read(int root_fd, const char *path, struct accounts *out, struct error *err);

void accounts_release(struct accounts *a);

/* A line of passwd(5). */
struct account {
	uint32_t uid, gid;
	/* Empty if there is no absolute path. */
	char home[4096];
};

/* Finds the first well-formed line with the name or uid. Returns false if there is none. */
bool accounts_by_name(const struct accounts *passwd, const char *name, struct account *out);
bool accounts_by_uid(const struct accounts *passwd, uint32_t uid, struct account *out);

/* Finds the gid of the first line of group(5) with the name. Returns false if there is none. */
bool accounts_group(const struct accounts *group, const char *name, uint32_t *gid);

/* Stores the gids of at most `size` groups that list `name` as a member in gids[]. Returns the
 * number of all such groups. */
size_t accounts_groups_of(const struct accounts *group, const char *name, uint32_t *gids,
			  size_t size);
