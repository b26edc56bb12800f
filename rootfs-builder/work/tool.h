/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the programs of other projects that a build needs (mke2fs, veritysetup, mmdebstrap). Each
 * runs in a process group of its own with an environment that does not depend on the user's:
 * LC_ALL=C, TZ=UTC, PATH with the sbin directories, umask 022, SOURCE_DATE_EPOCH, and what `env`
 * adds. It is killed when the build is interrupted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct tool {
	/* Arguments with the program's name first; ends with NULL. */
	const char *const *argv;
	/* Debian package that has the program, for the error message. */
	const char *package;
	/* Further variables "NAME=VALUE", ends with NULL; or NULL. */
	const char *const *env;
	/* Working directory, or NULL. */
	const char *dir;
	/* Standard input and output; 0: /dev/null. */
	int in, out;
	/* SOURCE_DATE_EPOCH. */
	uint32_t epoch;
	/* Called with each line of standard error, for progress; or NULL. */
	void (*line)(const char *text, void *data);
	void *line_data;
};

/* Fails with UNAVAILABLE and the package to install if the program is not there. */
int tool_need(const char *program, const char *package, struct error *err);

/* Runs the program to its end. FAILED_PRECONDITION with the last lines of its standard error if it
 * fails, UNAVAILABLE if it is not there, ABORTED if the build was interrupted. */
int tool_run(const struct tool *tool, struct error *err);

/* The same, storing what it writes to standard output (at most `max` bytes, else
 * RESOURCE_EXHAUSTED) with a NUL after it. The caller frees *out. */
int tool_read(const struct tool *tool, size_t max, char **out, size_t *len, struct error *err);

/* Returns the first line that `argv` prints, such as a version, or NULL. The caller frees it. */
char *tool_version(const char *const *argv);
