/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's list of mounts, /proc/<pid>/mountinfo (proc(5)). Asking it touches no file system that is mounted. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct mountinfo {
	int id, parent;
	char *point; /* in the line that was parsed */
};

/* The list as text: malloc'd, NULL and err on failure. dirfd and path as in openat(2). */
char *mountinfo_read(int dirfd, const char *path, struct error *err);

/* Takes one line without its newline apart; octal escapes are undone in place. False for anything else. */
bool mountinfo_parse(char *line, struct mountinfo *out);
