/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's list of mounts, /proc/<pid>/mountinfo (proc(5)). Reading it does not access the
 * mounted file systems. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct mountinfo {
	int id, parent;
	/* Parts of the parsed line: the mount point, and the type of the file system ("" if the
	 * line has none). */
	char *point, *type;
};

/* Reads the list as text, which the caller frees. Returns NULL and err on failure. dirfd and path
 * as for openat(2). */
char *mountinfo_read(int dirfd, const char *path, struct error *err);

/* Parses a line without its newline, and decodes octal escapes in place. Returns false if it is
 * malformed. */
bool mountinfo_parse(char *line, struct mountinfo *out);
