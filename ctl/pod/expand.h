/* SPDX-License-Identifier: Apache-2.0 */
/* References to variables in a pod's commands and values, as a kubelet expands them. Pure. */
#pragma once

#include <stddef.h>

#include "lib/arena.h"

/* Expands each "$(NAME)" to the value of the last entry "NAME=value" of `env`. A reference to a name that is not there stays as
 * it is, "$$" becomes "$": "$$(NAME)" is the text "$(NAME)". Returns a text in the arena, or NULL without memory. */
const char *expand_text(struct arena *a, const char *text, char *const *env, size_t n_env);
