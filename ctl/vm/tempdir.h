/* SPDX-License-Identifier: Apache-2.0 */
/* Private temporary directories that are removed soon after their owner dies. May block. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

/*
 * Creates PREFIX-XXXXXX (mode 0700), which is locked while the returned fd is open. The holder of
 * the fd owns the directory and removes it. First removes the directories left by dead owners of
 * this user. Returns -1 and err on failure.
 */
int tempdir_make(const char *prefix, char *out, size_t size, struct error *err);
