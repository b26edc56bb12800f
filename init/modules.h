/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel modules that the image lists for loading at boot. */
#pragma once

#include <stddef.h>

/* One absolute path a line in load order, followed by a space and parameters, if any. Empty lines
 * and lines that start with # are skipped. */
#define MODULES_LIST "/etc/tatami/modules"

/* Called with each line and its number, from 1. params is "" if there are none. */
typedef void modules_fn(unsigned int line, const char *path, const char *params, void *data);

/* Reads the list from fd and calls fn for each valid line; invalid ones are logged. Returns 0, or
 * -1 and the errno of read(2). */
int modules_parse(int fd, modules_fn *fn, void *data);

/* Loads the modules of the list at `path`, which need not exist. Logs each failure and continues
 * with the next line. Returns the number of modules loaded, and in *failed that of failures. May
 * block. */
unsigned int modules_load(const char *path, unsigned int *failed);
