/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/typed_end.h"

#define FIRST_SILENCE_MS 500
#define SILENCE_MS_MAX   32000
/* Ctrl-D */
#define END_KEY 4

void
typed_end_note_input(struct typed_end *e, const char *data, size_t n)
{
	if (n > 0)
		e->is_in_line = data[n - 1] != '\n' && data[n - 1] != '\r';
}

size_t
typed_end_begin(struct typed_end *e, char *keys)
{
	size_t n = 0;

	if (e->is_in_line)
		keys[n++] = '\n';
	e->is_in_line = false;
	e->silence_ms = FIRST_SILENCE_MS;
	keys[n++] = END_KEY;
	return n;
}

size_t
typed_end_after_silence(struct typed_end *e, char *keys)
{
	if (e->silence_ms < SILENCE_MS_MAX)
		e->silence_ms *= 2;
	keys[0] = END_KEY;
	return 1;
}

size_t
typed_end_after_output(struct typed_end *e, const char *output, size_t n, size_t size, char *keys)
{
	if (n == 0 || n >= size || output[n - 1] == '\n' || output[n - 1] == '\r')
		return 0;
	e->silence_ms = FIRST_SILENCE_MS;
	keys[0] = END_KEY;
	return 1;
}
