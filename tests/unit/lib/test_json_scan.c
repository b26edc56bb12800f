/* SPDX-License-Identifier: Apache-2.0 */
/* Values looked up in JSON, and validation, compared with another library. */
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"
#include "tests/support/check.h"

static struct json_value
scanned(const char *text)
{
	struct json_value value = { 0 };

	REQUIRE(json_scan(text, strlen(text), &value), "%s", text);
	return value;
}

static struct json_value
member(const char *text, const char *key)
{
	struct json_value value = { 0 };

	REQUIRE(json_scan_member(scanned(text), key, &value), "%s", text);
	return value;
}

Test(json_scan, members_of_an_object)
{
	static const char text[] =
		" { \"a\" : {\"b\":\"inner\"}, \"b\":\"outer\", \"n\" : 7,\"\\u0061b\":[] } ";
	struct json_value value, a = member(text, "a");

	CHECK(json_scan_is(a, '{'));
	CHECK(json_scan_member(a, "b", &value) && json_scan_equals(value, "inner"));
	CHECK(json_scan_equals(member(text, "b"), "outer"));
	CHECK(json_scan_is(member(text, "ab"), '['));
	CHECK(!json_scan_member(scanned(text), "c", &value));
	CHECK(!json_scan_member(scanned("{}"), "", &value));
	CHECK(!json_scan_member(scanned("[1]"), "a", &value));
	CHECK(!json_scan_member(scanned("\"a\""), "a", &value));
}

Test(json_scan, last_of_equal_keys)
{
	CHECK(json_scan_equals(member("{\"k\":\"1\",\"x\":0,\"k\":\"2\"}", "k"), "2"));
}

Test(json_scan, items_of_an_array)
{
	struct json_value list = scanned("[ \"a\" ,[1,2],\n{\"x\":[]} , 4 ]"), item = { 0 };

	CHECK(json_scan_item(list, &item) && json_scan_equals(item, "a"));
	CHECK(json_scan_item(list, &item) && json_scan_is(item, '['));
	CHECK(json_scan_item(list, &item) && json_scan_is(item, '{'));
	CHECK(json_scan_item(list, &item) && item.len == 1 && *item.text == '4');
	CHECK(!json_scan_item(list, &item));
	item.text = NULL;
	CHECK(!json_scan_item(scanned("[ ]"), &item));
	CHECK(!json_scan_item(scanned("{\"a\":1}"), &item));
}

Test(json_scan, strings_are_decoded)
{
	struct json_value v = scanned("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t"
				      "\\u00e9\\ud83d\\ude00\xc3\xa9\"");
	static const char want[] = "a\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80\xc3\xa9";
	char out[sizeof(want)];

	CHECK_EQ(json_scan_string(v, out, sizeof(out)), (ssize_t)sizeof(want) - 1);
	CHECK_STR(out, want);
	CHECK(json_scan_equals(v, want));
	CHECK(!json_scan_equals(v, "a"));
	CHECK_EQ(json_scan_string(v, out, sizeof(out) - 1), -1);
	CHECK_EQ(json_scan_string(scanned("\"\""), out, 1), 0);
	CHECK_EQ(json_scan_string(scanned("\"a\\u0000b\""), out, sizeof(out)), -1);
	CHECK_EQ(json_scan_string(scanned("12"), out, sizeof(out)), -1);
}

Test(json_scan, numbers)
{
	uint32_t n = 5;

	CHECK(json_scan_u32(scanned("4294967295"), &n) && n == UINT32_MAX);
	CHECK(!json_scan_u32(scanned("4294967296"), &n));
	CHECK(!json_scan_u32(scanned("-1"), &n));
	CHECK(!json_scan_u32(scanned("1.0"), &n));
	CHECK(!json_scan_u32(scanned("\"1\""), &n));
	CHECK(!json_scan_u32(scanned("10000000000000000000000"), &n));
	CHECK_EQ(n, UINT32_MAX);
}

/* Every document is cut at every byte, and has every byte replaced by some others. */
Test(json_scan, accepts_what_another_library_accepts)
{
	static const char *const texts[] = {
		"{\"a\":[1,-2.5e+1,0,0.1E-3],\"b\":{\"c\":null,\"d\":[true,false,{}]}}",
		" [\"\\ud83d\\ude00\\n\\u00e9 \xc3\xa9\", [], {\"\":\"\"}, -0 ] ",
	};
	static const char others[] = "\"{}[]:,\\u0x1-.e \n\x01\x80tn";

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		size_t n = strlen(texts[i]);

		for (size_t at = 0; at <= n; at++) {
			for (size_t k = 0; k < sizeof(others); k++) {
				auto_free char *text = calloc(n + 2, 1);
				struct json_value value;
				json_t *theirs;

				REQUIRE(text);
				memcpy(text, texts[i], n);
				/* The last one is the NUL, which cuts. */
				text[at] = others[k];
				theirs = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
				CHECK_EQ(json_scan(text, strlen(text), &value), theirs != NULL,
					 "%s", text);
				json_decref(theirs);
			}
		}
	}
}

Test(json_scan, deep_nesting_is_refused)
{
	char text[2 * JSON_SCAN_DEPTH + 8];
	struct json_value value;

	memset(text, '[', JSON_SCAN_DEPTH);
	memset(text + JSON_SCAN_DEPTH, ']', JSON_SCAN_DEPTH);
	CHECK(json_scan(text, (size_t)2 * JSON_SCAN_DEPTH, &value));
	memset(text, '[', JSON_SCAN_DEPTH + 1);
	memset(text + JSON_SCAN_DEPTH + 1, ']', JSON_SCAN_DEPTH + 1);
	CHECK(!json_scan(text, (size_t)2 * JSON_SCAN_DEPTH + 2, &value));
}
