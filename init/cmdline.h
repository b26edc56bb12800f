/* SPDX-License-Identifier: Apache-2.0 */
/* Looking things up in a kernel command line. Pure functions: nothing in it can make them fail. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The longest command line that is looked at, in bytes (x86 and arm64 kernels cut at 2048). */
#define CMDLINE_MAX 4096

/* Copies the value of the last `key=value` token (split at ASCII white space, no quoting) to value. False if
 * there is none or it does not fit into size bytes with its NUL; value is then untouched. */
bool cmdline_value(const char *cmdline, const char *key, char *value, size_t size);

/* Is there a token that is `key` alone or starts with `key=`? */
bool cmdline_has(const char *cmdline, const char *key);
