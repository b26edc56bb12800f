/* SPDX-License-Identifier: Apache-2.0 */
/* Quantities; see quantity.h. The format is that of resource.Quantity in k8s.io/apimachinery. */
#include "ctl/spec/quantity.h"

#include <stddef.h>
#include <string.h>

#define QUANTITY_EXPONENT_MAX 100

__extension__ typedef unsigned __int128 quantity_wide;

static const struct {
	const char *name;
	/* exponents */
	int ten, two;
} suffixes[] = {
	{ "", 0, 0 },    { "n", -9, 0 },  { "u", -6, 0 },  { "m", -3, 0 },
	{ "k", 3, 0 },   { "M", 6, 0 },   { "G", 9, 0 },   { "T", 12, 0 },
	{ "P", 15, 0 },  { "E", 18, 0 },  { "Ki", 0, 10 }, { "Mi", 0, 20 },
	{ "Gi", 0, 30 }, { "Ti", 0, 40 }, { "Pi", 0, 50 }, { "Ei", 0, 60 },
};

static const char *quantity_digits(const char *text, quantity_wide *value, int *ten, bool *rest);
static bool quantity_exponent(const char *text, int *out);

bool
quantity_parse(const char *text, int digits, uint64_t max, uint64_t *out)
{
	quantity_wide value;
	int ten = digits, more = 0;
	size_t i = 0;
	bool rest = false;

	text = quantity_digits(*text == '+' ? text + 1 : text, &value, &ten, &rest);
	if (!text)
		return false;
	/* "1E" is a suffix, "1E3" an exponent. */
	if (!quantity_exponent(text, &more)) {
		while (i < sizeof(suffixes) / sizeof(suffixes[0]) &&
		       strcmp(suffixes[i].name, text) != 0)
			i++;
		if (i == sizeof(suffixes) / sizeof(suffixes[0]))
			return false;
		more = suffixes[i].ten;
		value <<= suffixes[i].two;
	}
	for (ten += more; ten < 0 && value > 0; ten++) {
		rest |= value % 10 != 0;
		value /= 10;
	}
	if (rest)
		value++;
	for (; ten > 0 && value > 0 && value <= max; ten--)
		value *= 10;
	if (value > max)
		return false;
	*out = (uint64_t)value;
	return true;
}

/* Parses digits with an optional decimal point into a value below 2^60 and subtracts the number
 * of decimal places from *ten. Digits that do not fit set *rest unless they are 0. Returns the
 * rest of the text, or NULL if there is no digit or the value is too large. */
static const char *
quantity_digits(const char *text, quantity_wide *value, int *ten, bool *rest)
{
	bool point = false, any = false;

	for (*value = 0; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
		bool room = *value < (quantity_wide)1 << 56;

		if (*text == '.') {
			point = true;
			continue;
		}
		any = true;
		if (!room && !point)
			return NULL;
		if (!room || *ten < -QUANTITY_EXPONENT_MAX) {
			*rest |= *text != '0';
			continue;
		}
		*value = 10 * *value + (quantity_wide)(*text - '0');
		*ten -= point;
	}
	return any ? text : NULL;
}

/* "e3", "E-2". */
static bool
quantity_exponent(const char *text, int *out)
{
	bool minus = text[0] && text[1] == '-';
	int value = 0;

	if (*text != 'e' && *text != 'E')
		return false;
	text += text[1] == '+' || text[1] == '-' ? 2 : 1;
	if (!*text || text[strspn(text, "0123456789")])
		return false;
	for (; *text && value <= QUANTITY_EXPONENT_MAX; text++)
		value = 10 * value + (*text - '0');
	if (value > QUANTITY_EXPONENT_MAX)
		return false;
	*out = minus ? -value : value;
	return true;
}
