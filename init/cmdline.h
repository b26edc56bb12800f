/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups in the kernel command line. Pure functions that accept any input. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the command line that are read (x86 and aarch64 kernels cut it at 2048). */
#define CMDLINE_MAX 4096

/* Copies the value of the last `key=value` token to value. Tokens are separated by ASCII white
 * space, without quoting. Returns false and leaves value unchanged if there is no such token or it
 * needs more than size bytes with its NUL. */
bool cmdline_value(const char *cmdline, const char *key, char *value, size_t size);

/* Returns whether there is a token `key` or `key=...`. */
bool cmdline_has(const char *cmdline, const char *key);
