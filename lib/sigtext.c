/* SPDX-License-Identifier: Apache-2.0 */
/* Formatting in a signal handler, for the crash handlers of init and agent. */
#include "lib/sigtext.h"

#include <string.h>

char *
sigtext_put(char *p, const char *text)
{
	size_t n = strlen(text);

	memcpy(p, text, n);
	return p + n;
}

char *
sigtext_put_number(char *p, uint64_t value, unsigned int base)
{
	char digits[64];
	size_t n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n)
		*p++ = digits[--n];
	return p;
}
