/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an input that is typed into a terminal: both ends of the debug console need it. It is
 * typed as Ctrl-D, which has no lasting effect: it ends one read of one program. If a program that
 * the input has started consumes it, the shell needs another one; and a shell that edits its lines
 * discards one that comes while a command still runs. So Ctrl-D is typed again:
 *
 *   - at a prompt, that is, output that ends within a line;
 *   - after a silence. A program without a prompt cannot be told from one that does not read: the
 *     second program in `cat; cat` is as silent as `sleep`, and neither the connection nor the
 *     terminal's master reports that a Ctrl-D was read. Each silence is twice as long as the one
 *     before, so that few of them wait in a terminal whose programs do not read.
 *
 * Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* bytes that each of these functions writes at most */
#define TYPED_END_KEYS 2

struct typed_end {
	/* the last line of the input lacks its newline */
	bool is_in_line;
	/* time without output until Ctrl-D is typed again */
	int silence_ms;
};

/* Notes input that is typed, of which the last byte counts. */
void typed_end_note_input(struct typed_end *e, const char *data, size_t n);

/* Writes the keys for the end of the input, and returns their number. An unfinished line is
 * completed first: within a line, Ctrl-D has another meaning. */
size_t typed_end_begin(struct typed_end *e, char *keys);

/* Writes the keys after a silence of `silence_ms`, returns their number, and doubles the time. */
size_t typed_end_after_silence(struct typed_end *e, char *keys);

/* Writes the keys after output if it ends with a prompt, and returns their number, or 0. `size` is
 * the size of the buffer that was read into: more output follows if that is full. */
size_t typed_end_after_output(struct typed_end *e, const char *output, size_t n, size_t size,
			      char *keys);
