/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that an image describes, and changes to it by the user's options, which are those of
 * `podman run`. Pure. Results are allocated in an arena or belong to the arguments.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "lib/arena.h"
#include "lib/error.h"

/* The members of "config" of an OCI image configuration. Lists end with NULL; an absent text is
 * "". */
struct image_config {
	const char *const *entrypoint, *const *cmd, *const *env;
	const char *user, *cwd, *stop_signal;
};

/* Reads a configuration, whose texts continue to belong to `json`. Returns 0, or -1 and err
 * (INVALID_ARGUMENT). */
int image_config_read(struct image_config *out, const json_t *json, struct arena *a,
		      struct error *err);

/*
 * Returns the arguments of the process: the entry point, then `command` or, if that is empty, the
 * image's. `entrypoint` replaces both of the image: a program, or a JSON list of arguments; NULL:
 * not given. The list is empty if nothing says what to run. Returns NULL and err on failure.
 */
char *const *image_args(const struct image_config *config, const char *entrypoint,
			char *const *command, struct arena *a, struct error *err);

/* Returns the image's variables without those that `given` sets, then those of `given`, of which
 * there are n; *n becomes the number of all. Returns NULL if memory is exhausted. */
const char *const *image_env(const struct image_config *config, const char *const *given, size_t *n,
			     struct arena *a);

/* Returns the number of a signal: "SIGTERM", "TERM", "15", "SIGRTMIN+3"; 0 if it is invalid. */
int image_signal(const char *text);
