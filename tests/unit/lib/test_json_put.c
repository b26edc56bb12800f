/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that is written, read back by another library. */
#include <inttypes.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "lib/cleanup.h"
#include "lib/json_put.h"
#include "tests/support/check.h"

static void
put_all(struct json_put *w)
{
	json_put_begin(w, NULL, '{');
	json_put_text(w, "text", "a\"b\\c\nd\te\x7f");
	json_put_text(w, "key \"\n\"", "");
	json_put_bool(w, "yes", true);
	json_put_bool(w, "no", false);
	json_put_null(w, "nothing");
	json_put_i64(w, "least", INT64_MIN);
	json_put_u64(w, "most", UINT64_MAX);
	json_put_begin(w, "list", '[');
	json_put_begin(w, NULL, '[');
	json_put_end(w, ']');
	json_put_i64(w, NULL, -1);
	json_put_begin(w, NULL, '{');
	json_put_u64(w, "x", 1);
	json_put_end(w, '}');
	json_put_text(w, NULL, "last");
	json_put_end(w, ']');
	json_put_end(w, '}');
}

static const char all[] =
	"{\"text\":\"a\\\"b\\\\c\\nd\\u0009e\\u007f\",\"key \\\"\\n\\\"\":\"\",\"yes\":true,"
	"\"no\":false,\"nothing\":null,\"least\":-9223372036854775808,"
	"\"most\":18446744073709551615,\"list\":[[],-1,{\"x\":1},\"last\"]}";

Test(json_put, text_of_every_kind_of_value)
{
	char text[sizeof(all)];
	struct json_put w = { .text = text, .size = sizeof(text) };
	json_t *value;

	put_all(&w);
	REQUIRE(!w.has_failed);
	REQUIRE_EQ(w.len, sizeof(all) - 1);
	text[w.len] = '\0';
	CHECK_STR(text, all);
	/* The largest number does not fit an integer of jansson. */
	value = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);
	REQUIRE(value);
	CHECK_STR(json_string_value(json_object_get(value, "text")), "a\"b\\c\nd\te\x7f");
	json_decref(value);
}

Test(json_put, a_buffer_gets_the_same)
{
	struct json_put w = { 0 };
	struct buf b;

	buf_init(&b, 4096);
	w.buf = &b;
	put_all(&w);
	REQUIRE(!w.has_failed);
	REQUIRE_EQ(buf_len(&b), sizeof(all) - 1);
	CHECK(memcmp(buf_head(&b), all, sizeof(all) - 1) == 0);
	buf_release(&b);
}

Test(json_put, what_does_not_fit_fails_and_is_never_passed)
{
	char text[sizeof(all)];

	for (size_t size = 0; size < sizeof(all) - 1; size++) {
		struct json_put w = { .text = text, .size = size };
		struct json_put b = { 0 };
		struct buf buf;

		memset(text, '!', sizeof(text));
		put_all(&w);
		CHECK(w.has_failed && w.len <= size, "%zu", size);
		CHECK_EQ(text[size], '!');
		CHECK(memcmp(text, all, w.len) == 0);
		buf_init(&buf, size);
		b.buf = &buf;
		put_all(&b);
		CHECK(b.has_failed && buf_len(&buf) <= size, "%zu", size);
		buf_release(&buf);
	}
}

Test(json_put, invalid_utf8_is_replaced)
{
	static const char *const rows[][2] = {
		{ "a\xff"
		  "b",
		  "a\xef\xbf\xbd"
		  "b" },
		{ "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\xc3", "\xef\xbf\xbd" },
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80x", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[64];
		struct json_put w = { .text = text, .size = sizeof(text) - 1 };
		json_t *value;

		json_put_text(&w, NULL, rows[i][0]);
		text[w.len] = '\0';
		value = json_loads(text, JSON_DECODE_ANY, NULL);
		REQUIRE(value, "row %zu: %s", i, text);
		CHECK_STR(json_string_value(value), rows[i][1], "row %zu: %s", i, text);
		json_decref(value);
	}
}

Test(json_put, a_string_is_cut_between_characters)
{
	static const struct {
		size_t max;
		const char *text;
	} rows[] = {
		{ 0, "\"\"" },
		{ 1, "\"a\"" },
		{ 2, "\"a\"" },
		{ 3, "\"a\xc3\xa4\"" },
		{ 4, "\"a\xc3\xa4\"" },
		{ 5, "\"a\xc3\xa4\\n\"" },
		{ 6, "\"a\xc3\xa4\\nb\"" },
		{ 7, "\"a\xc3\xa4\\nb\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[32];
		struct json_put w = { .text = text, .size = sizeof(text) - 1 };

		json_put_cut(&w, NULL, "a\xc3\xa4\nb", rows[i].max);
		text[w.len] = '\0';
		CHECK(!w.has_failed);
		CHECK_STR(text, rows[i].text);
	}
}
