/* SPDX-License-Identifier: Apache-2.0 */
/* YAML and JSON as a tree. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/yaml.h"
#include "tests/support/check.h"

/* Writes a tree as text: "~" for no value, plain scalars as they are, others in quotes. */
static void
show(FILE *out, const struct yaml_node *node)
{
	if (node->kind == YAML_LIST || node->kind == YAML_MAP) {
		(void)fputc(node->kind == YAML_LIST ? '[' : '{', out);
		for (const struct yaml_node *e = node->first; e; e = e->next) {
			if (node->kind == YAML_MAP)
				(void)fprintf(out, "%s=", e->key);
			show(out, e);
			if (e->next)
				(void)fputc(',', out);
		}
		(void)fputc(node->kind == YAML_LIST ? ']' : '}', out);
	} else if (node->kind == YAML_NULL) {
		(void)fputc('~', out);
	} else {
		(void)fprintf(out, node->kind == YAML_PLAIN ? "%s" : "\"%s\"", node->text);
	}
}

/* Reads a text, of which only the given bytes exist. Returns what it is, or the error. */
static char *
read_all(const char *text, size_t size, struct error *err)
{
	struct arena arena;
	char *copy = malloc(size ? size : 1), *shown = NULL;
	const struct yaml_node *node;
	size_t n;
	FILE *out = open_memstream(&shown, &n);

	REQUIRE(copy && out);
	memcpy(copy, text, size);
	arena_init(&arena, 4 << 20);
	node = yaml_parse(&arena, copy, size, err);
	free(copy);
	if (node)
		show(out, node);
	else
		(void)fprintf(out, "%s", err->msg);
	(void)fclose(out);
	arena_release(&arena);
	return shown;
}

static const struct {
	const char *text, *want;
} good[] = {
	{ "", "~" },
	{ "# nothing\n\n", "~" },
	{ "{}", "{}" },
	{ "{\"a\":1,\"b\":[true,null,\"x\\n\\u00e9\xf0\x9f\x98\x80\\U0001f600\\/\"]}",
	  "{a=1,b=[true,null,\"x\n\xc3\xa9\xf0\x9f\x98\x80\xf0\x9f\x98\x80/\"]}" },
	{ "{\n  \"a\": [\n    {},\n    []\n  ]\n}\n", "{a=[{},[]]}" },
	{ "[a, 'b, c', \"d\", {e: f, g: }, [],]", "[a,\"b, c\",\"d\",{e=f,g=~},[]]" },
	{ "\xef\xbb\xbf---\r\na: b\r\nc: d\r\n...\r\n", "{a=b,c=d}" },
	{ "a:\n  b: 1\n  c:\n  - x\n  - y\nd:\ne: ~\n", "{a={b=1,c=[x,y]},d=~,e=~}" },
	{ "- a: 1\n  b:\n    - - x\n      - y\n    -\n      z\n- 2\n", "[{a=1,b=[[x,y],z]},2]" },
	{ "a: b # c\n# d\n\n  # e\nf: g#h\n", "{a=b,f=g#h}" },
	{ "a: b c\n  d\n\n  e\nf: 1\n", "{a=b c d\ne,f=1}" },
	{ "a: http://x:80/y\nb: -x\nc: ?y\nd: :z\n", "{a=http://x:80/y,b=-x,c=?y,d=:z}" },
	{ "'it''s': \"a\\\n   b\"\n\"k\" : 'x\n\n  y'\n", "{it's=\"ab\",k=\"x\ny\"}" },
	{ "a: |\n  x\n   y\n\n  z\n\nb: >-\n  p\n  q\n\n  r\nc: |2+\n    s\n\nd: |\ne: 1\n",
	  "{a=\"x\n y\n\nz\n\",b=\"p q\nr\",c=\"  s\n\n\",d=\"\",e=1}" },
	{ "a:   \n    - b\n    - c: d\n      e: f\n", "{a=[b,{c=d,e=f}]}" },
	{ "a: !!str 1\nb: !!str\nc: !!seq [!!map {}]\n", "{a=\"1\",b=\"\",c=[{}]}" },
	{ "{a b}", "{a b=~}" },
	{ "[a: b, c\n  d]", "[{a=b},c d]" },
	{ "? a\n: b\n", "{a=b}" },
	{ "a: 5%\n", "{a=5%}" },
};

Test(yaml, documents)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct error err = ERROR_INIT;
		auto_free char *shown = read_all(good[i].text, strlen(good[i].text), &err);

		CHECK_STR(shown, good[i].want, "document %zu", i);
	}
}

static const struct {
	const char *text, *error;
} bad[] = {
	{ "a: &x b\n", "line 1: anchors and aliases" },
	{ "a: &x [b]\n", "line 1: anchors and aliases" },
	{ "a: &x {b: c}\n", "line 1: anchors and aliases" },
	{ "a: *x\n", "line 1: anchors and aliases" },
	{ "a: !!int 5\n", "line 1: unsupported tag" },
	{ "a: ! 5\n", "line 1: unsupported tag" },
	{ "a:\n  !x\n  b: 1\n", "line 2: unsupported tag" },
	{ "a: !!str [b]\n", "line 1: unsupported tag" },
	{ "a: !!map [b]\n", "line 1: unsupported tag" },
	{ "%YAML 1.2\n---\na: b\n", "line 1: directives" },
	{ "a: b\n...\n%TAG ! x\n---\n", "line 3: directives" },
	{ "\xef\xbb\xbf%YAML 1.2\n---\na: b\n", "line 1: directives" },
	{ "a: b\n---\nc: d\n", "line 2: more than one document" },
	{ "? [a]\n: b\n", "line 1: a key may not be a list or a map" },
	{ "{{a: b}: c}", "line 1: a key may not be a list or a map" },
	{ "a: b\na: c\n", "line 2: \"a\" is given twice" },
	{ "{a: b, a: c}", "line 1: \"a\" is given twice" },
	{ "a: b: c\n", "line 1: mapping values are not allowed" },
	{ "a:\n  b: 1\n   c: 2\n", "line 3: mapping values are not allowed" },
	{ "a:\n  - b\n - c\n", "line 3: did not find expected key (while parsing a block mapping, "
			       "line 1)" },
	{ "a:\n    b: 1\n  c: 2\n", "line 3: did not find expected key" },
	{ "a:\n\tb: 1\n", "line 2: found character that cannot start any token" },
	{ "-\ta: 1\n", "line 1: found character that cannot start any token" },
	{ "a: 'b\n", "line 2: found unexpected end of stream (while scanning a quoted scalar, "
		     "line 1)" },
	{ "a: \"b\\q\"\n", "line 1: found unknown escape character" },
	{ "a: \"\\ud800\"\n", "line 1: found invalid Unicode character escape code" },
	{ "a: \"\\ud83d\\ude00\"\n", "line 1: found invalid Unicode character escape code" },
	{ "a: \"\\x00\"\n", "line 1: a NUL character in a value" },
	{ "\"\\0\": a\n", "line 1: a NUL character in a value" },
	{ "a: [b\n", "line 2: did not find expected ',' or ']'" },
	{ "{a: b", "line 2: did not find expected ',' or '}'" },
	{ "[1] 2\n", "line 1: did not find expected <document start>" },
	{ "a\nb: c\n", "line 2: mapping values are not allowed" },
	/* quotes that end in another line do not make a key */
	{ "\"\n : ", "line 2: found unexpected end of stream" },
	{ "'a\n b': c\n", "line 2: mapping values are not allowed" },
	{ "a: @b\n", "line 1: found character that cannot start any token" },
	{ "a: b\n\n\xef\xbb\xbf: \x01\n", "line 3: control characters are not allowed" },
	{ "# a\na: \xff\n", "line 2: invalid leading UTF-8 octet" },
	{ "a: b\n# c\rd: e\n", "line 2: invalid end of a line" },
	{ "a: \"b\xc2\x85\"\n", "line 1: invalid end of a line" },
	{ "a: \"b\xe2\x80\xa8\"\n", "line 1: invalid end of a line" },
	{ "a: \"b\xe2\x80\xa9\"\n", "line 1: invalid end of a line" },
};

Test(yaml, invalid_documents)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err = ERROR_INIT;
		auto_free char *shown = read_all(bad[i].text, strlen(bad[i].text), &err);

		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "document %zu is %s", i, shown);
		CHECK(strncmp(shown, bad[i].error, strlen(bad[i].error)) == 0, "document %zu: %s",
		      i, shown);
	}
}

/* Every beginning of each document is either read or refused, within its bytes. */
Test(yaml, truncated_documents)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		for (size_t n = 0; n < strlen(good[i].text); n++) {
			struct error err = ERROR_INIT;
			auto_free char *shown = read_all(good[i].text, n, &err);

			CHECK(shown);
		}
	}
}

static char *
repeat(const char *part, size_t times, const char *end)
{
	char *out = malloc(strlen(part) * times + strlen(end) + 1), *at = out;

	REQUIRE(out);
	for (size_t i = 0; i < times; i++)
		at = stpcpy(at, part);
	(void)stpcpy(at, end);
	return out;
}

Test(yaml, limits)
{
	struct error err = ERROR_INIT;
	auto_free char *deep = repeat("[", YAML_DEPTH_MAX + 1, "");
	auto_free char *dashes = repeat("- ", YAML_DEPTH_MAX + 1, "x");
	auto_free char *large = repeat("- x\n", 200000, "");
	char *shown = read_all(deep, strlen(deep), &err);
	char keys[YAML_KEYS_MAX * 8];
	size_t n = 0;

	CHECK_STR(shown, "line 1: too many levels");
	free(shown);
	shown = read_all(dashes, strlen(dashes), &err);
	CHECK_STR(shown, "line 1: too many levels");
	free(shown);
	for (int i = 0; i <= YAML_KEYS_MAX; i++)
		n += (size_t)sprintf(keys + n, "k%d:\n", i);
	shown = read_all(keys, n, &err);
	CHECK(strstr(shown, "too many keys in one map"), "%s", shown);
	free(shown);
	shown = read_all(large, strlen(large), &err);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	CHECK(strstr(shown, "the document is too large"), "%.80s", shown);
	free(shown);
}

Test(yaml, limit_on_the_size)
{
	struct error err = ERROR_INIT;
	auto_free char *text = repeat("#", YAML_SIZE_MAX, "\n");
	char *shown = read_all(text, YAML_SIZE_MAX, &err);

	CHECK_STR(shown, "~");
	free(shown);
	shown = read_all(text, YAML_SIZE_MAX + 1, &err);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	CHECK_STR(shown, "larger than 1048576 bytes");
	free(shown);
}

Test(yaml, limit_on_blanks)
{
	static const struct {
		const char *blank, *error;
	} rows[] = {
		{ " ", "line 1: too many blanks in a row" },
		{ "\t", "line 1: too many blanks in a row" },
		{ "\n", "line 1025: too many blanks in a row" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		auto_free char *most = repeat(rows[i].blank, YAML_BLANKS_MAX, "x");
		auto_free char *more = repeat(rows[i].blank, YAML_BLANKS_MAX + 1, "x");
		char *shown = read_all(most, strlen(most), &err);

		CHECK(!strstr(shown, "too many blanks"), "%s", shown);
		free(shown);
		shown = read_all(more, strlen(more), &err);
		CHECK_STR(shown, rows[i].error);
		free(shown);
	}
}

Test(yaml, numbers_and_missing_values)
{
	static const struct {
		const char *text;
		bool is_int;
		int64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "438", true, 438 },
		{ "-7", true, -7 },
		{ "0644", true, 0644 },
		{ "0o644", true, 0644 },
		{ "0x1F", true, 31 },
		{ "\"438\"", false, 0 },
		{ "1.5", false, 0 },
		{ "1e3", false, 0 },
		{ "0x", false, 0 },
		{ "089", false, 0 },
		{ "true", false, 0 },
		{ "9223372036854775808", false, 0 },
		{ "0xffffffffffffffff", false, 0 },
	};
	struct error err = ERROR_INIT;
	struct arena arena;
	const struct yaml_node *node;
	int64_t value;

	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		node = yaml_parse(&arena, rows[i].text, strlen(rows[i].text), &err);
		REQUIRE(node, "%s", err.msg);
		value = 0;
		CHECK_EQ(yaml_int(node, &value), rows[i].is_int, "%s", rows[i].text);
		CHECK_EQ(value, rows[i].value, "%s", rows[i].text);
	}
	node = yaml_parse(&arena, "{a: ~, b: null, c: , d: 'null', e: x}", 37, &err);
	REQUIRE(node, "%s", err.msg);
	CHECK(yaml_is_null(yaml_get(node, "a")) && yaml_is_null(yaml_get(node, "b")) &&
	      yaml_is_null(yaml_get(node, "c")));
	CHECK(!yaml_is_null(yaml_get(node, "d")) && !yaml_is_null(yaml_get(node, "e")));
	CHECK(!yaml_get(node, "f"));
	arena_release(&arena);
}

Test(yaml, several_documents)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{ "", "[]" },
		{ "a: b\n", "[{a=b}]" },
		{ "---\na: b\n---\n- c\n...\n---\nd\n", "[{a=b},[c],d]" },
		{ "a: |\n  x\n---\n---\nb: c\n", "[{a=\"x\n\"},~,{b=c}]" },
	};
	struct arena arena;

	arena_init(&arena, 1u << 20);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		const struct yaml_node *all =
			yaml_parse_documents(&arena, rows[i].text, strlen(rows[i].text), &err);
		char *shown = NULL;
		size_t n = 0;
		FILE *out = open_memstream(&shown, &n);

		REQUIRE(all && out, "%s: %s", rows[i].text, err.msg);
		show(out, all);
		(void)fclose(out);
		CHECK_STR(shown, rows[i].shown);
		free(shown);
	}
	{
		struct error err = ERROR_INIT;
		static const char text[] = "a: b\n---\nc: *d\n";

		CHECK_EQ(yaml_parse_documents(&arena, text, sizeof(text) - 1, &err), NULL);
		CHECK_HAS(err.msg, "line 3: anchors and aliases");
	}
	arena_release(&arena);
}
