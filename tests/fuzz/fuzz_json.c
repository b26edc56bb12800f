/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that is looked up where it stands: for any text that is accepted, every member and item lies
 * within its parent and is accepted alone.
 */
#include <string.h>

#include "lib/json_scan.h"
#include "lib/parse.h"
#include "tests/fuzz/target.h"

static void
expect_value(struct json_value v, struct json_value parent, unsigned int depth)
{
	struct json_value alone, item = { 0 };
	char text[64];
	ssize_t n = json_scan_string(v, text, sizeof(text));
	uint32_t number;

	MUST(v.text >= parent.text && v.len > 0 && v.text + v.len <= parent.text + parent.len);
	MUST(json_scan(v.text, v.len, &alone) && alone.text == v.text && alone.len == v.len);
	if (n >= 0) {
		MUST(json_scan_is(v, '"') && (size_t)n == strlen(text));
		MUST(utf8_is_valid(text, (uint64_t)n) && json_scan_equals(v, text));
	}
	MUST(!(json_scan_u32(v, &number) && n >= 0));
	if (json_scan_member(v, "a", &item) && depth < 3)
		expect_value(item, v, depth + 1);
	item.text = NULL;
	for (int i = 0; i < 4 && json_scan_item(v, &item); i++)
		if (depth < 3)
			expect_value(item, v, depth + 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_value v;

	if (json_scan((const char *)data, size, &v)) {
		const struct json_value all = { (const char *)data, size };

		expect_value(v, all, 0);
	}
	return 0;
}
