/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size of the window at the other end of a byte stream. The stream has no message for it, but
 * terminals answer WINDOW_QUERY with ESC [ 8 ; ROWS ; COLUMNS t (xterm's control sequences, "window
 * manipulation"). A client may also send that report unasked when its window changes. Reports are
 * removed from the input. Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>

#define WINDOW_QUERY "\033[18t"
/* bytes that may be held back until a report is complete */
#define WINDOW_HELD 16

struct window {
	char held[WINDOW_HELD];
	size_t n;
};

/* Copies n bytes of input to out (room for n + WINDOW_HELD), without the reports in it, and returns
 * the number of bytes copied. If there was a report, sets *found to true and *size to the size in
 * the last one. */
size_t window_filter(struct window *w, const char *in, size_t n, char *out, struct winsize *size,
		     bool *found);
