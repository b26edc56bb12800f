/* SPDX-License-Identifier: Apache-2.0 */
/* Private temporary directories that do not outlive their owner for long. May block. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

/*
 * Makes PREFIX-XXXXXX (mode 0700), locked for as long as the fd that is returned stays open: whoever holds it owns the
 * directory, and removes it. Before that, removes what dead owners of this user have left. -1 and err.
 */
int tempdir_make(const char *prefix, char *out, size_t size, struct error *err);
