/* SPDX-License-Identifier: Apache-2.0 */
/* Text made in a signal handler (signal-safety(7)): no allocation, no locale, no stdio. Never blocks. */
#pragma once

#include <stdint.h>

/* Each writes at p, without a NUL, and returns where the text ends. The caller sees to the room: the length of the
 * text, at most 64 bytes of a number. */
char *sigtext_put(char *p, const char *text);
char *sigtext_put_number(char *p, uint64_t value, unsigned int base); /* base 2 to 16 */
