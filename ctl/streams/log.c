/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a container. */
#include "ctl/streams/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/io.h"

/* Longer texts become several records. */
#define TEXT_MAX (8u << 10)
#define HEAD_MAX 64

/* Records that are written together, and the number of bytes of output in them. */
struct log_batch {
	char data[4 * TEXT_MAX];
	size_t len, n_output;
};

static void log_flush(struct log *l, struct log_batch *b);
static bool log_try(struct log *l, const struct log_batch *b);
static void log_rotate(struct log *l);
static int log_put(struct log *l, const char *data, size_t n);
static int log_tell_lost(struct log *l);

void
log_file(const char *path, unsigned int i, char *out, size_t size)
{
	(void)snprintf(out, size, i ? "%s.%u" : "%s", path, i);
}

static void
log_open_file(struct log *l)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	l->size = l->fd >= 0 && fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void
log_path(const char *dir, const char *container, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/container-%.160s.log", dir, container);
}

void
log_open(struct log *l, const char *path, const struct log_limit *limit)
{
	*l = (struct log){ .limit = *limit };
	(void)snprintf(l->path, sizeof(l->path), "%s", path);
	log_open_file(l);
}

void
log_close(struct log *l)
{
	if (l->fd >= 0 && l->lost)
		(void)log_tell_lost(l);
	if (l->fd >= 0)
		(void)close(l->fd);
	l->fd = -1;
}

void
log_time(int64_t seconds, long nanoseconds, char out[static LOG_TIME_LEN + 1])
{
	time_t t = (time_t)seconds;
	char stamp[32];
	struct tm tm;

	(void)gmtime_r(&t, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(out, LOG_TIME_LEN + 1, "%.19s.%09ldZ", stamp, nanoseconds);
}

static void
log_now(char out[static LOG_TIME_LEN + 1])
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	log_time(now.tv_sec, now.tv_nsec, out);
}

void
log_write(struct log *l, bool from_stderr, const void *data, size_t n)
{
	const char *text = data, *end = text + n;
	char stamp[LOG_TIME_LEN + 1];
	struct log_batch b;

	b.len = b.n_output = 0;
	log_now(stamp);
	while (text < end) {
		size_t left = (size_t)(end - text), len = left < TEXT_MAX ? left : TEXT_MAX;
		const char *newline = memchr(text, '\n', len);

		len = newline ? (size_t)(newline - text) : len;
		if (b.len + HEAD_MAX + len + 1 > sizeof(b.data))
			log_flush(l, &b);
		b.len += (size_t)snprintf(b.data + b.len, HEAD_MAX, "%s std%s %c ", stamp,
					  from_stderr ? "err" : "out", newline ? 'F' : 'P');
		memcpy(b.data + b.len, text, len);
		b.len += len;
		b.data[b.len++] = '\n';
		len += newline != NULL;
		b.n_output += len;
		text += len;
	}
	log_flush(l, &b);
}

static void
log_flush(struct log *l, struct log_batch *b)
{
	if (l->fd < 0)
		log_open_file(l);
	if (l->fd >= 0 && l->size > 0 && l->size + b->len > l->limit.size)
		log_rotate(l);
	if (!log_try(l, b)) {
		/* The oldest output makes room for the newest. */
		bool may_help = l->fd >= 0 && l->size > 0 &&
				(l->why == ENOSPC || l->why == EDQUOT || l->why == EFBIG);

		if (may_help)
			log_rotate(l);
		if (!may_help || !log_try(l, b))
			l->lost += b->n_output;
	}
	b->len = b->n_output = 0;
}

static bool
log_try(struct log *l, const struct log_batch *b)
{
	if (l->fd < 0)
		l->why = errno;
	return l->fd >= 0 && (!l->lost || log_tell_lost(l) == 0) &&
	       log_put(l, b->data, b->len) == 0;
}

/* Readers find the file that follows the one they have open by its inode (cmd_logs.c), so that no
 * file is ever truncated. */
static void
log_rotate(struct log *l)
{
	char from[PATH_MAX + 16], to[PATH_MAX + 16];

	(void)close(l->fd);
	for (unsigned int i = l->limit.files - 1; i > 0; i--) {
		log_file(l->path, i - 1, from, sizeof(from));
		log_file(l->path, i, to, sizeof(to));
		(void)rename(from, to);
	}
	/* The limit holds even if the file could not be renamed. */
	(void)unlink(l->path);
	log_open_file(l);
}

/* Writes all of the data or, if that fails, nothing. Returns 0, or -1. */
static int
log_put(struct log *l, const char *data, size_t n)
{
	if (write_full(l->fd, data, n) == 0) {
		l->size += n;
		return 0;
	}
	l->why = errno;
	/* Part of a record would be read as the beginning of the next. */
	(void)!ftruncate(l->fd, (off_t)l->size);
	return -1;
}

/* Writes the record about lost output. */
static int
log_tell_lost(struct log *l)
{
	char stamp[LOG_TIME_LEN + 1], line[256];
	int n;

	log_now(stamp);
	n = snprintf(line, sizeof(line),
		     "%s stderr F tatamictl: %llu bytes of output were not logged: %s\n", stamp,
		     (unsigned long long)l->lost, strerror(l->why));
	if (log_put(l, line, (size_t)n) < 0)
		return -1;
	l->lost = 0;
	return 0;
}

void
log_parse(struct log_record *out, const char *line, size_t n)
{
	static const char form[] = "stdout F ";
	const char *stream = line + LOG_TIME_LEN + 1;

	*out = (struct log_record){ .time = line, .text = line, .text_len = n };
	if (n < LOG_TIME_LEN + 1 + strlen(form) || line[LOG_TIME_LEN] != ' ' ||
	    line[LOG_TIME_LEN - 1] != 'Z' || strncmp(stream, "std", 3) != 0 || stream[6] != ' ' ||
	    stream[8] != ' ' || (stream[7] != 'F' && stream[7] != 'P'))
		return;
	out->from_stderr = strncmp(stream, "stderr", 6) == 0;
	out->is_part = stream[7] == 'P';
	out->time_len = LOG_TIME_LEN;
	out->text = stream + strlen(form);
	out->text_len = n - LOG_TIME_LEN - 1 - strlen(form);
}
