/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-D at the end of an input that is typed: after the input, at prompts, after silences. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/typed_end.h"
#include "tests/support/check.h"

#define ROOM 16

Test(typed_end, completes_the_last_line)
{
	static const struct {
		const char *first, *last, *keys;
	} rows[] = {
		{ "", "", "\004" },       { "ls\n", "", "\004" },       { "ls", "", "\n\004" },
		{ "ls\r", "", "\004" },   { "ls", "\n", "\004" },       { "ls\n", "l", "\n\004" },
		{ "ls", "\n\n", "\004" }, { "a\nb", "c\nd", "\n\004" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct typed_end e = { 0 };
		char keys[TYPED_END_KEYS + 1] = "";

		typed_end_note_input(&e, rows[i].first, strlen(rows[i].first));
		typed_end_note_input(&e, rows[i].last, strlen(rows[i].last));
		CHECK_EQ(typed_end_begin(&e, keys), strlen(rows[i].keys), "row %zu", i);
		CHECK_STR(keys, rows[i].keys);
	}
}

Test(typed_end, answers_prompts)
{
	static const struct {
		const char *output;
		size_t n_keys;
	} rows[] = {
		{ "$ ", 1 },
		{ "a\r\n$ ", 1 },
		{ "Password: \033[0m", 1 },
		{ "a\r\n", 0 },
		{ "a\n", 0 },
		{ "\r", 0 },
		{ "", 0 },
		/* the buffer is full: more follows */
		{ "0123456789abcde$", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct typed_end e = { 0 };
		char keys[TYPED_END_KEYS + 1] = "";

		(void)typed_end_begin(&e, keys);
		keys[0] = '\0';
		CHECK_EQ(typed_end_after_output(&e, rows[i].output, strlen(rows[i].output), ROOM,
						keys),
			 rows[i].n_keys, "row %zu", i);
		CHECK_STR(keys, rows[i].n_keys ? "\004" : "");
	}
}

/* A day of silence types few keys; a prompt makes the next silence a short one. */
Test(typed_end, silences_become_longer)
{
	struct typed_end e = { 0 };
	char keys[TYPED_END_KEYS];
	int total_ms = 0, last_ms = 0, n = 0;

	(void)typed_end_begin(&e, keys);
	CHECK_EQ(e.silence_ms, 500);
	while (total_ms < 86400 * 1000) {
		CHECK(e.silence_ms >= last_ms, "%d ms after %d", e.silence_ms, last_ms);
		last_ms = e.silence_ms;
		total_ms += last_ms;
		CHECK_EQ(typed_end_after_silence(&e, keys), 1u);
		n++;
	}
	/* a terminal keeps 4095 bytes */
	CHECK(n < 4000, "%d keys", n);
	CHECK_EQ(typed_end_after_output(&e, "$ ", 2, ROOM, keys), 1u);
	CHECK_EQ(e.silence_ms, 500);
}
