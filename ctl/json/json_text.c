/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the host in JSON. */
#include <stdlib.h>
#include <string.h>

#include "ctl/json/json.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

/* U+FFFD, the character that stands for an invalid one */
#define REPLACEMENT "\xef\xbf\xbd"
/* bytes of a character in UTF-8 */
#define CHARACTER_MAX 4

json_t *
json_from_text(const char *text)
{
	json_t *j = json_string(text);
	size_t len = strlen(text), n = 0;
	auto_free char *valid = NULL;

	if (j || utf8_is_valid(text, len))
		return j;
	valid = malloc(len * strlen(REPLACEMENT) + 1);
	while (valid && *text) {
		size_t size = 1;

		while (size <= CHARACTER_MAX && size <= len && !utf8_is_valid(text, size))
			size++;
		if (size <= CHARACTER_MAX && size <= len) {
			memcpy(valid + n, text, size);
			n += size;
		} else {
			size = 1;
			memcpy(valid + n, REPLACEMENT, strlen(REPLACEMENT));
			n += strlen(REPLACEMENT);
		}
		text += size;
		len -= size;
	}
	return valid ? json_stringn(valid, n) : NULL;
}
