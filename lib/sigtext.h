/* SPDX-License-Identifier: Apache-2.0 */
/* Formatting in a signal handler (signal-safety(7)): no allocation, locale or stdio. Never
 * blocks. */
#pragma once

#include <stdint.h>

/* Each writes to p, without NUL, and returns the end of the text. The caller provides the room: the
 * length of the text, or 64 bytes for a number. */
char *sigtext_put(char *p, const char *text);
/* base is 2 to 16. */
char *sigtext_put_number(char *p, uint64_t value, unsigned int base);
