/* SPDX-License-Identifier: Apache-2.0 */
/* Expansion of variable references in the commands and values of a pod, as in a kubelet. Pure. */
#pragma once

#include <stddef.h>

#include "lib/arena.h"

/* Expands each "$(NAME)" to the value of the last entry "NAME=value" of `env`. A reference to an
 * unknown name is kept, and "$$" becomes "$": "$$(NAME)" yields "$(NAME)". Returns a string in
 * the arena, or NULL if out of memory. */
const char *expand_text(struct arena *a, const char *text, char *const *env, size_t n_env);
