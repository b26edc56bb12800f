/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of reports of a window's size. */
#include "agent/console/window.h"

#include <string.h>

#include "lib/parse.h"

#define BEGIN   "\033[8;"
#define N_BEGIN (sizeof(BEGIN) - 1)

enum match {
	MATCH_NOT,
	/* the beginning of a report */
	MATCH_PART,
	MATCH_WHOLE,
};

static enum match window_match(const char *text, size_t n, struct winsize *size);
static bool window_read_size(const char *text, size_t n, struct winsize *size);

size_t
window_filter(struct window *w, const char *in, size_t n, char *out, struct winsize *size,
	      bool *found)
{
	size_t done = 0;

	for (size_t i = 0; i < n; i++) {
		w->held[w->n++] = in[i];
		switch (window_match(w->held, w->n, size)) {
		case MATCH_PART:
			break;
		case MATCH_WHOLE:
			*found = true;
			w->n = 0;
			break;
		case MATCH_NOT:
			/* The last byte may begin another report. */
			memcpy(out + done, w->held, w->n - 1);
			done += w->n - 1;
			w->held[0] = in[i];
			w->n = in[i] == BEGIN[0];
			if (!w->n)
				out[done++] = in[i];
			break;
		}
	}
	/* A prefix as short as the escape key's own byte is passed on at once: it is more likely a
	 * key. */
	if (w->n < N_BEGIN) {
		memcpy(out + done, w->held, w->n);
		done += w->n;
		w->n = 0;
	}
	return done;
}

static enum match
window_match(const char *text, size_t n, struct winsize *size)
{
	size_t digits = 0, numbers = 1;

	if (memcmp(text, BEGIN, n < N_BEGIN ? n : N_BEGIN) != 0)
		return MATCH_NOT;
	for (size_t i = N_BEGIN; i < n; i++) {
		if (text[i] >= '0' && text[i] <= '9' && digits < 4) {
			digits++;
		} else if (text[i] == ';' && digits > 0 && numbers == 1) {
			numbers++;
			digits = 0;
		} else if (text[i] == 't' && digits > 0 && numbers == 2) {
			return window_read_size(text + N_BEGIN, i - N_BEGIN, size) ? MATCH_WHOLE
										   : MATCH_NOT;
		} else {
			return MATCH_NOT;
		}
	}
	return MATCH_PART;
}

/* Parses ROWS;COLUMNS, both greater than 0. */
static bool
window_read_size(const char *text, size_t n, struct winsize *size)
{
	char copy[WINDOW_HELD], *columns;
	uint32_t rows, cols;

	memcpy(copy, text, n);
	copy[n] = '\0';
	columns = strchr(copy, ';');
	if (!columns)
		return false;
	*columns++ = '\0';
	if (!parse_u32(copy, &rows) || !parse_u32(columns, &cols) || rows == 0 || cols == 0)
		return false;
	*size = (struct winsize){ .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };
	return true;
}
