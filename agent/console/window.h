/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The size of a window at the other end of a byte stream. There is no message for it, but terminals have one: asked by
 * WINDOW_QUERY they say ESC [ 8 ; ROWS ; COLUMNS t (xterm's control sequences, "window manipulation"). A client may also
 * send that by itself whenever its window changes. It is taken out of the input. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>

#define WINDOW_QUERY "\033[18t"
#define WINDOW_HELD  16 /* bytes that may wait for the rest of a report */

struct window {
	char held[WINDOW_HELD];
	size_t n;
};

/* Copies n bytes of input to out (room for n + WINDOW_HELD) without the reports in it; returns how many there are. *size is
 * set and *found true if there was a report; the last one counts. */
size_t window_filter(struct window *w, const char *in, size_t n, char *out, struct winsize *size,
		     bool *found);
