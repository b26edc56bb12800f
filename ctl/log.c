/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a container. */
#include "ctl/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/io.h"

/* "2026-11-30T16:00:00.000000000Z" */
#define TIME_LEN 30

int
log_append(int fd, bool from_stderr, const void *data, size_t n)
{
	const char *text = data, *end = text + n;
	char head[64], stamp[32];
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t len = (size_t)((newline ? newline : end) - text);
		int head_len =
			snprintf(head, sizeof(head), "%s.%09ldZ std%s %c ", stamp, now.tv_nsec,
				 from_stderr ? "err" : "out", newline ? 'F' : 'P');

		if (write_full(fd, head, (size_t)head_len) < 0 || write_full(fd, text, len) < 0 ||
		    write_full(fd, "\n", 1) < 0)
			return -1;
		text += len + (newline != NULL);
	}
	return 0;
}

void
log_parse(struct log_record *out, const char *line, size_t n)
{
	static const char form[] = "stdout F ";
	const char *stream = line + TIME_LEN + 1;

	*out = (struct log_record){ .time = line, .text = line, .text_len = n };
	if (n < TIME_LEN + 1 + strlen(form) || line[TIME_LEN] != ' ' || line[TIME_LEN - 1] != 'Z' ||
	    strncmp(stream, "std", 3) != 0 || stream[6] != ' ' || stream[8] != ' ' ||
	    (stream[7] != 'F' && stream[7] != 'P'))
		return;
	out->from_stderr = strncmp(stream, "stderr", 6) == 0;
	out->is_part = stream[7] == 'P';
	out->time_len = TIME_LEN;
	out->text = stream + strlen(form);
	out->text_len = n - TIME_LEN - 1 - strlen(form);
}
