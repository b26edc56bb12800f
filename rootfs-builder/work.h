/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private directory in which one build keeps its intermediate files. It lies in the directory
 * of the output, so that a finished file is renamed into place, and it disappears with the
 * process: on return, on SIGINT, SIGTERM and SIGHUP, and when the parent of the program has gone.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct work;

/* Creates the directory for this output, a file or directory that need not exist yet. There is one
 * at a time in a process, whose signal handlers it sets. Returns NULL and err if the directory of
 * the output cannot be written. */
struct work *work_open(const char *output, struct error *err);

/* Removes the directory with everything in it, and restores the handlers. */
void work_close(struct work *work);

/* Returns the absolute path of the directory; owned by `work`. */
const char *work_dir(const struct work *work);

/* Returns the absolute path of a name in the directory, or NULL and err. The caller frees it. */
char *work_path(const struct work *work, const char *name, struct error *err);

/* Tells whether a signal asked the build to end. Loops that take long call it. */
bool work_interrupted(void);

/* Fails with ABORTED if a signal asked the build to end. */
int work_check(struct error *err);
