/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes to the files of one cgroup, which are collected first and then made in order, all or none.
 * Worker side: writing may block. Source: Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

#define CGROUP_FILE_MAX 64

struct cgroup_setting {
	/* the spec's field, for messages */
	const char *field;
	/* one component */
	char file[CGROUP_FILE_MAX];
	char *value;
	/* previous content of the file, or NULL */
	char *former;
	/* the file may be missing */
	bool optional;
};

struct cgroup_settings {
	struct cgroup_setting *list;
	size_t n;
};

enum setting_kind {
	/* sets a limit: the file must exist */
	SETTING_LIMITS,
	/* removes a limit: without the file there is none */
	SETTING_LOOSENS,
};

/* Appends a write. field must outlive the settings; file is copied. Returns 0, or -1 and sets
 * err. */
int settings_add(struct cgroup_settings *s, enum setting_kind kind, const char *field,
		 const char *file, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* Makes all writes in the cgroup that fd is open on. With `keep`, the files are read first and
 * restored if a write fails. Returns 0, or -1 and sets err. */
int settings_apply(struct cgroup_settings *s, int fd, bool keep, struct error *err);

/* Frees the collected writes. */
void settings_release(struct cgroup_settings *s);
