/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups in the kernel command line. Used by init at boot; does not allocate. */
#include "init/cmdline.h"

#include <string.h>

#define BLANKS " \t\r\n\v\f"

/* Returns the next token at or after *pos and advances *pos; NULL at the end. *len is its
 * length. */
static const char *
cmdline_next_token(const char **pos, size_t *len)
{
	const char *token = *pos + strspn(*pos, BLANKS);

	*len = strcspn(token, BLANKS);
	*pos = token + *len;
	return *len ? token : NULL;
}

bool
cmdline_value(const char *cmdline, const char *key, char *value, size_t size)
{
	size_t key_len = strlen(key), len, found_len = 0;
	const char *token, *found = NULL;

	while ((token = cmdline_next_token(&cmdline, &len))) {
		if (len <= key_len || token[key_len] != '=' || memcmp(token, key, key_len) != 0)
			continue;
		found = token + key_len + 1;
		found_len = len - key_len - 1;
	}
	if (!found || found_len >= size)
		return false;
	memcpy(value, found, found_len);
	value[found_len] = '\0';
	return true;
}

bool
cmdline_has(const char *cmdline, const char *key)
{
	size_t key_len = strlen(key), len;
	const char *token;

	while ((token = cmdline_next_token(&cmdline, &len))) {
		if (len < key_len || memcmp(token, key, key_len) != 0)
			continue;
		if (len == key_len || token[key_len] == '=')
			return true;
	}
	return false;
}
