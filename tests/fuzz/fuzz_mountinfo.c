/* SPDX-License-Identifier: Apache-2.0 */
/* A list of mounts, line by line: an accepted line has two ids and a mount point within the
 * line. */
#include <string.h>

#include "lib/mountinfo.h"
#include "tests/fuzz/target.h"

/* `before` is the unmodified line, of n bytes. */
static void
expect_point(const char *before, size_t n, const struct mountinfo *m, const char *line)
{
	size_t len = strlen(m->point);

	MUST(m->point >= line && m->point + len <= line + n);
	/* A blank ends the field, so a blank in the result was escaped. */
	MUST(!strchr(m->point, ' ') || strstr(before, "\\040"));
	MUST(m->id >= 0 && m->parent >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest = text, *line;

	MUST(text);
	memcpy(text, data, size);
	text[size] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		size_t n = strlen(line);
		/* An exact allocation of its own. */
		char *own = strdup(line);
		struct mountinfo m;

		MUST(own);
		if (mountinfo_parse(own, &m))
			expect_point(line, n, &m, own);
		free(own);
	}
	free(text);
	return 0;
}
