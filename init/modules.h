/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel modules that the image wants loaded at boot. */
#pragma once

#include <stddef.h>

/* One absolute path a line, in load order; after a blank, the module's parameters. Empty lines and lines
 * that start with # are skipped. */
#define MODULES_LIST "/etc/tatami/modules"

/* A line of the list with its number (from 1). params is "" if there are none. */
typedef void modules_fn(unsigned int line, const char *path, const char *params, void *data);

/* Reads the list from fd and calls fn for each good line; a bad one is logged. 0, or -1 and errno of the
 * failing read(2). */
int modules_parse(int fd, modules_fn *fn, void *data);

/* Loads what the list at `path` names; no list is no failure. A failure is logged and the next line tried.
 * Returns the number of modules loaded, and of failures in *failed. May block. */
unsigned int modules_load(const char *path, unsigned int *failed);
