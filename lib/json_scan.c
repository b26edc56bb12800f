/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up values in JSON. */
#include "lib/json_scan.h"

#include <string.h>

#include "lib/parse.h"

/* The rest of the text. */
struct scan {
	const char *at, *end;
	/* Nesting of the value that begins at `at`. */
	unsigned int depth;
};

static bool scan_value(struct scan *s);
static bool scan_list(struct scan *s, char close);
static bool scan_text(struct scan *s);
static bool scan_number(struct scan *s);
static bool scan_word(struct scan *s, const char *word);
static int scan_character(const char **at, const char *end, char out[4]);

static void
scan_space(struct scan *s)
{
	while (s->at < s->end &&
	       (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
		s->at++;
}

/* Skips the character c. Returns false if another one is next. */
static bool
scan_skip(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

bool
json_scan(const char *text, size_t n, struct json_value *out)
{
	struct scan s = { .at = text, .end = text + n };

	if (!utf8_is_valid(text, n))
		return false;
	scan_space(&s);
	out->text = s.at;
	if (!scan_value(&s))
		return false;
	out->len = (size_t)(s.at - out->text);
	scan_space(&s);
	return s.at == s.end;
}

static bool
scan_value(struct scan *s)
{
	bool is_valid;

	if (s->at == s->end || s->depth == JSON_SCAN_DEPTH)
		return false;
	s->depth++;
	switch (*s->at) {
	case '{':
		is_valid = scan_list(s, '}');
		break;
	case '[':
		is_valid = scan_list(s, ']');
		break;
	case '"':
		is_valid = scan_text(s);
		break;
	case 't':
		is_valid = scan_word(s, "true");
		break;
	case 'f':
		is_valid = scan_word(s, "false");
		break;
	case 'n':
		is_valid = scan_word(s, "null");
		break;
	default:
		is_valid = scan_number(s);
	}
	s->depth--;
	return is_valid;
}

/* Moves past one item of an array (close is ']') or member of an object, and white space. Sets *key
 * and *value, either of which may be NULL. */
static bool
scan_entry(struct scan *s, char close, struct json_value *key, struct json_value *value)
{
	const char *begin = s->at;

	if (close == '}') {
		if (!scan_text(s))
			return false;
		if (key)
			*key = (struct json_value){ begin, (size_t)(s->at - begin) };
		scan_space(s);
		if (!scan_skip(s, ':'))
			return false;
		scan_space(s);
		begin = s->at;
	}
	if (!scan_value(s))
		return false;
	if (value)
		*value = (struct json_value){ begin, (size_t)(s->at - begin) };
	scan_space(s);
	return true;
}

static bool
scan_list(struct scan *s, char close)
{
	s->at++;
	scan_space(s);
	if (scan_skip(s, close))
		return true;
	while (scan_entry(s, close, NULL, NULL)) {
		if (scan_skip(s, close))
			return true;
		if (!scan_skip(s, ','))
			return false;
		scan_space(s);
	}
	return false;
}

static bool
scan_text(struct scan *s)
{
	char ignored[4];

	if (!scan_skip(s, '"'))
		return false;
	while (s->at < s->end && *s->at != '"')
		if (scan_character(&s->at, s->end, ignored) < 0)
			return false;
	return scan_skip(s, '"');
}

static bool
scan_digits(struct scan *s)
{
	const char *begin = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > begin;
}

static bool
scan_number(struct scan *s)
{
	const char *begin;

	(void)scan_skip(s, '-');
	begin = s->at;
	if (!scan_digits(s) || (*begin == '0' && s->at > begin + 1))
		return false;
	if (scan_skip(s, '.') && !scan_digits(s))
		return false;
	if (!scan_skip(s, 'e') && !scan_skip(s, 'E'))
		return true;
	if (!scan_skip(s, '+'))
		(void)scan_skip(s, '-');
	return scan_digits(s);
}

static bool
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
		return false;
	s->at += n;
	return true;
}

/* Reads the four digits of \uXXXX. */
static bool
scan_unit(const char **at, const char *end, uint32_t *out)
{
	*out = 0;
	if (end - *at < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *(*at)++;
		uint32_t digit;

		if (c >= '0' && c <= '9')
			digit = (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
		*out = *out << 4 | digit;
	}
	return true;
}

/* Reads what follows "\u": one character of the basic plane, or a pair of surrogates. */
static bool
scan_unicode(const char **at, const char *end, uint32_t *out)
{
	uint32_t low;

	if (!scan_unit(at, end, out))
		return false;
	if (*out < 0xd800 || *out > 0xdfff)
		return true;
	if (*out > 0xdbff || end - *at < 2 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return false;
	*at += 2;
	if (!scan_unit(at, end, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static int
scan_put_utf8(uint32_t c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Decodes one byte or escape of a string. Returns the number of bytes in `out`, or -1. */
static int
scan_character(const char **at, const char *end, char out[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *escape;
	uint32_t c;

	out[0] = *(*at)++;
	if ((unsigned char)out[0] < 0x20)
		return -1;
	if (out[0] != '\\')
		return 1;
	if (*at == end)
		return -1;
	out[0] = *(*at)++;
	if (out[0] == 'u')
		return scan_unicode(at, end, &c) ? scan_put_utf8(c, out) : -1;
	escape = out[0] ? strchr(from, out[0]) : NULL;
	if (!escape)
		return -1;
	out[0] = to[escape - from];
	return 1;
}

bool
json_scan_is(struct json_value value, char c)
{
	return value.len > 0 && *value.text == c;
}

bool
json_scan_member(struct json_value object, const char *key, struct json_value *out)
{
	struct scan s = { .at = object.text, .end = object.text + object.len };
	struct json_value name, value;
	bool is_found = false;

	if (!scan_skip(&s, '{'))
		return false;
	scan_space(&s);
	while (scan_entry(&s, '}', &name, &value)) {
		if (json_scan_equals(name, key)) {
			*out = value;
			is_found = true;
		}
		if (!scan_skip(&s, ','))
			break;
		scan_space(&s);
	}
	return is_found;
}

bool
json_scan_item(struct json_value array, struct json_value *item)
{
	struct scan s = { .at = array.text, .end = array.text + array.len };

	if (!scan_skip(&s, '['))
		return false;
	if (item->text)
		s.at = item->text + item->len;
	scan_space(&s);
	if (item->text && !scan_skip(&s, ','))
		return false;
	scan_space(&s);
	return scan_entry(&s, ']', NULL, item);
}

ssize_t
json_scan_string(struct json_value value, char *out, size_t size)
{
	struct scan s = { .at = value.text, .end = value.text + value.len };
	size_t used = 0;

	if (!scan_skip(&s, '"') || size == 0)
		return -1;
	while (s.at < s.end && *s.at != '"') {
		char bytes[4];
		int n = scan_character(&s.at, s.end, bytes);

		if (n < 0 || bytes[0] == '\0' || (size_t)n >= size - used)
			return -1;
		memcpy(out + used, bytes, (size_t)n);
		used += (size_t)n;
	}
	out[used] = '\0';
	return (ssize_t)used;
}

bool
json_scan_equals(struct json_value value, const char *text)
{
	struct scan s = { .at = value.text, .end = value.text + value.len };
	size_t left = strlen(text);

	if (!scan_skip(&s, '"'))
		return false;
	while (s.at < s.end && *s.at != '"') {
		char bytes[4];
		int n = scan_character(&s.at, s.end, bytes);

		if (n < 0 || (size_t)n > left || memcmp(bytes, text, (size_t)n) != 0)
			return false;
		text += n;
		left -= (size_t)n;
	}
	return left == 0;
}

bool
json_scan_u32(struct json_value value, uint32_t *out)
{
	char text[16];

	if (value.len == 0 || value.len >= sizeof(text))
		return false;
	memcpy(text, value.text, value.len);
	text[value.len] = '\0';
	return parse_u32(text, out);
}
