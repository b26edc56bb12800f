/* SPDX-License-Identifier: Apache-2.0 */
/* The filter removes reports of a window's size, wherever the input is split, and passes everything
 * else on unchanged. */
#include <criterion/criterion.h>
#include <string.h>

#include "agent/console/window.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

#define ESC "\033"

static const struct {
	const char *in, *out;
	/* 0: there was no report */
	unsigned short rows, columns;
} rows[] = {
	{ "", "", 0, 0 },
	{ "ls -l\r", "ls -l\r", 0, 0 },
	{ ESC "[8;33;77t", "", 33, 77 },
	{ "a" ESC "[8;33;77tb", "ab", 33, 77 },
	{ ESC "[8;1;1t" ESC "[8;9999;9999t", "", 9999, 9999 },
	{ ESC "[A" ESC "[8~" ESC "[18t", ESC "[A" ESC "[8~" ESC "[18t", 0, 0 },
	{ ESC ESC "[8;33;77tx", ESC "x", 33, 77 },
	{ ESC "[8" ESC "[8;33;77t", ESC "[8", 33, 77 },
	{ ESC "[8;0;77t", ESC "[8;0;77t", 0, 0 },
	{ ESC "[8;33;0t", ESC "[8;33;0t", 0, 0 },
	{ ESC "[8;33;77;1t", ESC "[8;33;77;1t", 0, 0 },
	{ ESC "[8;33333;77t", ESC "[8;33333;77t", 0, 0 },
	{ ESC "[8;;77t", ESC "[8;;77t", 0, 0 },
	{ ESC "[8;33t", ESC "[8;33t", 0, 0 },
	{ ESC "[8;-1;77t", ESC "[8;-1;77t", 0, 0 },
};

/* Feeds the input in two pieces, split at `cut`. */
static void
check_row(size_t row, size_t cut)
{
	const char *in = rows[row].in;
	size_t n = strlen(in), done = 0;
	struct window w = { .n = 0 };
	struct winsize size = { 0 };
	bool found = false;
	char out[256];

	done += window_filter(&w, in, cut, out, &size, &found);
	done += window_filter(&w, in + cut, n - cut, out + done, &size, &found);
	REQUIRE_LE(done, sizeof(out));
	CHECK(done == strlen(rows[row].out) && memcmp(out, rows[row].out, done) == 0,
	      "row %zu cut at %zu: %.*s", row, cut, (int)done, out);
	CHECK_EQ(found, rows[row].rows > 0, "row %zu cut at %zu", row, cut);
	if (found)
		CHECK(size.ws_row == rows[row].rows && size.ws_col == rows[row].columns,
		      "row %zu cut at %zu: %u x %u", row, cut, size.ws_row, size.ws_col);
}

Test(window, reports)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check_row(i, strlen(rows[i].in));
}

Test(window, reports_in_pieces)
{
	static const char report[] = ESC "[8;";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t cut = 0; cut <= strlen(rows[i].in); cut++) {
			bool is_short = false;

			/* split inside the first bytes of a report, which are passed on as keys */
			for (size_t n = 1; n < strlen(report); n++)
				is_short |=
					cut >= n && memcmp(rows[i].in + cut - n, report, n) == 0;
			if (!is_short)
				check_row(i, cut);
		}
	}
}

/* The escape key is not held back, and held bytes that turn out to be no report are passed on. */
Test(window, keys_are_not_held_back)
{
	struct window w = { .n = 0 };
	struct winsize size;
	bool found = false;
	char out[256];

	CHECK_EQ(window_filter(&w, ESC, 1, out, &size, &found), 1);
	CHECK_EQ(window_filter(&w, ESC "[", 2, out, &size, &found), 2);
	CHECK_EQ(window_filter(&w, ESC "[8;3", 5, out, &size, &found), 0);
	CHECK_EQ(window_filter(&w, "x", 1, out, &size, &found), 6);
	CHECK(memcmp(out, ESC "[8;3x", 6) == 0);
	CHECK(!found);
}

Test(window, any_bytes)
{
	static const char alphabet[] = ESC "[8;t019x";
	struct window w = { .n = 0 };
	unsigned int seed = 1;

	for (int round = 0; round < 100000; round++) {
		char in[64], out[64 + WINDOW_HELD];
		struct winsize size;
		bool found = false;
		size_t n, held = w.n, got;

		seed = seed * 1103515245 + 12345;
		n = seed >> 16 & 63;
		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			in[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
		}
		got = window_filter(&w, in, n, out, &size, &found);
		REQUIRE(found || got + w.n == held + n, "bytes were lost");
		REQUIRE_LE(got, n + WINDOW_HELD);
		REQUIRE_LT(w.n, WINDOW_HELD);
	}
}
