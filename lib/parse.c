/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/parse.h"

#include <string.h>

static bool parse_base(const char *s, unsigned int base, uint64_t max, uint64_t *out);
static unsigned int utf8_length(const unsigned char *p, uint64_t n);
static bool parse_is_alnum(char c);

bool
parse_u64(const char *s, uint64_t *out)
{
	return parse_base(s, 10, UINT64_MAX, out);
}

static bool
parse_base(const char *s, unsigned int base, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned int digit;

		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if (*s >= 'a' && *s <= 'f')
			digit = (unsigned int)(*s - 'a') + 10;
		else if (*s >= 'A' && *s <= 'F')
			digit = (unsigned int)(*s - 'A') + 10;
		else
			return false;
		if (digit >= base || v > (max - digit) / base)
			return false;
		v = v * base + digit;
	}
	*out = v;
	return true;
}

bool
parse_u32(const char *s, uint32_t *out)
{
	uint64_t v;

	if (!parse_base(s, 10, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool
parse_i64(const char *s, int64_t *out)
{
	uint64_t v;

	if (*s == '-') {
		if (!parse_base(s + 1, 10, (uint64_t)INT64_MAX + 1, &v))
			return false;
		*out = (int64_t)(0 - v);
		return true;
	}
	if (!parse_base(s, 10, INT64_MAX, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

bool
parse_octal(const char *s, uint32_t *out)
{
	uint64_t v;

	if (!parse_base(s, 8, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool
parse_hex(const char *s, uint64_t *out)
{
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
		s += 2;
	return parse_base(s, 16, UINT64_MAX, out);
}

bool
parse_bool(const char *s, bool *out)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {
		{ "true", true },   { "yes", true }, { "on", true },
		{ "false", false }, { "no", false }, { "off", false },
	};
	uint64_t v;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(s, words[i].word) == 0) {
			*out = words[i].value;
			return true;
		}
	}
	if (!parse_u64(s, &v))
		return false;
	*out = v != 0;
	return true;
}

bool
utf8_is_valid(const char *s, uint64_t n)
{
	const unsigned char *p = (const unsigned char *)s;

	while (n) {
		unsigned int len = utf8_length(p, n);

		if (!len)
			return false;
		p += len;
		n -= len;
	}
	return true;
}

/* Returns the length of the UTF-8 sequence at p (n bytes left), or 0 if it is invalid. RFC 3629. */
static unsigned int
utf8_length(const unsigned char *p, uint64_t n)
{
	unsigned int len = 0;

	if (p[0] < 0x80)
		return p[0] ? 1 : 0;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	if (!len || len > n)
		return 0;
	for (unsigned int i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, or a surrogate. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
		return 0;
	/* Overlong, or above U+10FFFF. */
	if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return len;
}

bool
container_id_is_valid(const char *s)
{
	static const char *const reserved[] = { "shared", "sandbox", "image", "virtual-volumes" };
	size_t len = strlen(s);

	if (len < 2 || len > 128 || !parse_is_alnum(s[0]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!parse_is_alnum(s[i]) && s[i] != '.' && s[i] != '_' && s[i] != '-')
			return false;
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(s, reserved[i]) == 0)
			return false;
	return true;
}

static bool
parse_is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
