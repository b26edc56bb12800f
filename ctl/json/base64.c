/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/json/base64.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
base64_encode(const uint8_t *data, size_t n)
{
	char *text = malloc((n + 2) / 3 * 4 + 1), *at = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t v = (uint32_t)data[i] << 16;

		if (left > 1)
			v |= (uint32_t)data[i + 1] << 8;
		if (left > 2)
			v |= data[i + 2];
		*at++ = alphabet[v >> 18];
		*at++ = alphabet[v >> 12 & 63];
		*at++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
		*at++ = left > 2 ? alphabet[v & 63] : '=';
	}
	*at = '\0';
	return text;
}

/* Returns the value of a base64 digit, or -1 for any other character. */
static int
base64_value_of(char c)
{
	const char *p = c ? strchr(alphabet, c) : NULL;

	return p ? (int)(p - alphabet) : -1;
}

uint8_t *
base64_decode(const char *text, size_t len, size_t *n)
{
	size_t padding = 0, count = 0;
	uint8_t *data;

	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	if (len % 4 != 0) {
		errno = EINVAL;
		return NULL;
	}
	data = malloc(len / 4 * 3 + 1);
	if (!data)
		return NULL;
	for (size_t i = 0; i < len; i += 4) {
		size_t pads = i + 4 == len ? padding : 0;
		uint32_t v = 0;

		for (size_t j = 0; j < 4; j++) {
			int d = j < 4 - pads ? base64_value_of(text[i + j]) : 0;

			if (d < 0) {
				free(data);
				errno = EINVAL;
				return NULL;
			}
			v = v << 6 | (uint32_t)d;
		}
		data[count++] = (uint8_t)(v >> 16);
		if (pads < 2)
			data[count++] = (uint8_t)(v >> 8);
		if (pads < 1)
			data[count++] = (uint8_t)v;
	}
	*n = count;
	return data;
}
