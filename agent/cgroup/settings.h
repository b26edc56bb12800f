/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes to the files of one cgroup, collected first and then done in order: all of them, or none. Worker only: writing
 * may block. Source: Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

#define CGROUP_FILE_MAX 64

struct cgroup_setting {
	const char *field;          /* of the spec, for messages */
	char file[CGROUP_FILE_MAX]; /* one component */
	char *value;
	char *former;  /* what the file said before */
	bool optional; /* without the file there is nothing to limit */
};

struct cgroup_settings {
	struct cgroup_setting *list;
	size_t n;
};

enum setting_kind {
	SETTING_LIMITS,  /* the file must exist */
	SETTING_LOOSENS, /* without the file there is nothing to loosen */
};

/* Appends a write. `field` and `file` are copied by reference and by value. */
int settings_add(struct cgroup_settings *s, enum setting_kind kind, const char *field,
		 const char *file, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* Does all of them in the cgroup that fd is open on. With `keep` what the files said is read first and written back
 * when one is refused. */
int settings_apply(struct cgroup_settings *s, int fd, bool keep, struct error *err);

void settings_release(struct cgroup_settings *s);
