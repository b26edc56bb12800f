/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tatamictl logs: the output of a container in the background, also after its end. The files of a
 * log (log.h) are read from the oldest on. The one that follows an open file is found by its inode:
 * it may have been renamed meanwhile, any number of times.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/streams/log.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define CHUNK (64u << 10)

static const char usage[] =
	"usage: tatamictl logs [-f] [-t] [-n LINES] [--since TIME] NAME[/CONTAINER]\n"
	"Prints the output of a container of VM NAME, what it wrote to stderr on stderr. The log\n"
	"is kept until `tatamictl rm NAME`, its last part if it was too large (--log-size of\n"
	"boot, run -d and pod).\n"
	"\n"
	"  -c, --container NAME   the container (default: the first)\n"
	"  -f, --follow           go on until the VM ends\n"
	"  -n, --tail LINES       only the last LINES lines\n"
	"  --since TIME           only lines from TIME on: so long ago, as 90s or 1h30m, or\n"
	"                         2026-11-30[T12:00:00[.5][Z|+01:00]]\n"
	"  -t, --timestamps       begin each line with its time\n"
	"  -h, --help             print this\n";

struct logs {
	bool follow, timestamps;
	/* lines from the end, UINT32_MAX: all */
	uint32_t tail;
	/* time of the first line to be printed, "": all */
	char since[LOG_TIME_LEN + 1];
	char path[PATH_MAX + 256];
	/* open files, from the oldest on, and the one that is being read; earlier ones are open
	 * only while lines are counted */
	int fds[LOG_FILES_MAX];
	unsigned int n_fds, at;
	/* the part of the file that has been read and does not end with a newline */
	char *rest;
	size_t n_rest;
	/* the last record ended with its line */
	bool is_at_start;
	/* the last record was written before `since` */
	bool is_before;
	/* lines are counted, not printed */
	bool is_counting;
	/* lines counted; lines that are not to be printed */
	uint64_t lines, skip;
};

static int logs_open(struct logs *l, struct error *err);
static int logs_count(struct logs *l, struct error *err);
static int logs_copy(struct logs *l, struct error *err);
static int logs_copy_more(void *logs, struct error *err);
static int logs_parse_since(const char *text, void *out, struct error *err);
static bool logs_parse_time(const char *text, char out[static LOG_TIME_LEN + 1]);

int
cmd_logs(int argc, char **argv)
{
	struct logs l = { .tail = UINT32_MAX, .is_at_start = true };
	const char *container = NULL;
	const struct command_option options[] = {
		{ "container", 'c', .text = &container },
		{ "follow", 'f', .flag = &l.follow },
		{ "tail", 'n', .number = &l.tail },
		{ "since", .parse = logs_parse_since, .data = l.since },
		{ "timestamps", 't', .flag = &l.timestamps },
	};
	const struct command_line line = {
		.usage = usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 1,
		.operands_max = 1,
	};
	struct error err = ERROR_INIT;
	struct record_ref c;
	int r, first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	r = record_find(argv[first], container, false, &c, &err);
	if (r == 0) {
		record_log(&c.state, c.container[0] ? c.container : NULL, l.path, sizeof(l.path));
		r = logs_open(&l, &err);
		if (r < 0 && err.code == ERROR_NOT_FOUND)
			error_set(&err, ERROR_NOT_FOUND, "%s has no log of container %s",
				  c.state.name, c.container[0] ? c.container : c.state.container);
	}
	if (r == 0)
		r = logs_count(&l, &err);
	if (r == 0)
		r = l.follow ? state_follow(&c.state, logs_copy_more, &l, &err)
			     : logs_copy(&l, &err);
	for (unsigned int i = 0; i < l.n_fds; i++)
		close_fd(&l.fds[i]);
	free(l.rest);
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "tatamictl logs: %s\n", err.msg);
	return EXIT_FAILED;
}

static int
logs_parse_since(const char *text, void *out, struct error *err)
{
	return logs_parse_time(text, out)
		       ? 0
		       : error_set(err, ERROR_INVALID_ARGUMENT,
				   "--since %s: expected a time such as 90s, 1h30m or "
				   "2026-11-30T12:00:00",
				   text);
}

/* Parses a duration "1h30m" before now, or a date with or without a time. */
static bool
logs_parse_time(const char *text, char out[static LOG_TIME_LEN + 1])
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct tm tm = { 0 }, offset = { 0 };
	int64_t sum = 0;
	const char *at = strptime(text, "%Y-%m-%d", &tm), *end;
	long fraction = 0;

	if (at) {
		if (*at == 'T' || *at == ' ')
			at = strptime(at + 1, "%H:%M:%S", &tm);
		if (at && *at == '.') {
			at++;
			for (long unit = 100000000; *at >= '0' && *at <= '9'; at++, unit /= 10)
				fraction += (*at - '0') * unit;
		}
		end = at && (*at == '+' || *at == '-') ? strptime(at + 1, "%H:%M", &offset) : NULL;
		if (!at || (*at && strcmp(at, "Z") != 0 && (!end || *end)))
			return false;
		sum = offset.tm_hour * 3600 + offset.tm_min * 60;
		log_time(timegm(&tm) - (*at == '-' ? -sum : sum), fraction, out);
		return true;
	}
	for (at = text; *at; at = end + 1) {
		char digits[16];
		size_t u = 0;
		uint32_t n;

		end = at + strspn(at, "0123456789");
		(void)snprintf(digits, sizeof(digits), "%.*s", (int)(end - at), at);
		while (u < ARRAY_LEN(units) && units[u].unit != *end)
			u++;
		if (u == ARRAY_LEN(units) || !parse_u32(digits, &n))
			return false;
		sum += n * units[u].seconds;
	}
	log_time((int64_t)time(NULL) - sum, 0, out);
	return *text;
}

/* ---- files ---- */

static int
logs_open_file(const struct logs *l, unsigned int i)
{
	char path[sizeof(l->path) + 16];

	log_file(l->path, i, path, sizeof(path));
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Opens the oldest file. Returns an fd, or -1 and errno. */
static int
logs_open_oldest(const struct logs *l)
{
	int fd = -1;

	for (unsigned int i = LOG_FILES_MAX; fd < 0 && i-- > 0;) {
		fd = logs_open_file(l, i);
		if (fd < 0 && errno != ENOENT)
			return -1;
	}
	return fd;
}

static int
logs_open(struct logs *l, struct error *err)
{
	l->fds[0] = logs_open_oldest(l);
	if (l->fds[0] < 0)
		return errno == ENOENT ? error_set(err, ERROR_NOT_FOUND, "no log")
				       : error_sys(err, "failed to open %s", l->path);
	l->n_fds = 1;
	return 0;
}

/* Returns the number of the open file now, or LOG_FILES_MAX if it was removed. */
static unsigned int
logs_number(const struct logs *l, int fd)
{
	char path[sizeof(l->path) + 16];
	struct stat own, st;
	unsigned int i = 0;

	if (fstat(fd, &own) < 0)
		return LOG_FILES_MAX;
	for (; i < LOG_FILES_MAX; i++) {
		log_file(l->path, i, path, sizeof(path));
		if (stat(path, &st) == 0 && st.st_ino == own.st_ino && st.st_dev == own.st_dev)
			break;
	}
	return i;
}

/* Opens the file that follows the newest that is open. Returns -1 if there is none yet. */
static int
logs_open_next(const struct logs *l)
{
	int last = l->fds[l->n_fds - 1];

	for (;;) {
		unsigned int i = logs_number(l, last);
		int fd;

		if (i == 0)
			return -1;
		fd = i == LOG_FILES_MAX ? logs_open_oldest(l) : logs_open_file(l, i - 1);
		/* Otherwise files were renamed between the two calls. */
		if (logs_number(l, last) == i)
			return fd;
		close_fd(&fd);
	}
}

static int
logs_put(const struct logs *l, const struct log_record *r, struct error *err)
{
	FILE *to = r->from_stderr ? stderr : stdout;

	if (l->timestamps && l->is_at_start)
		(void)fprintf(to, "%.*s ", (int)r->time_len, r->time);
	(void)fwrite(r->text, 1, r->text_len, to);
	if (!r->is_part)
		(void)putc('\n', to);
	return ferror(to) ? error_sys(err, "failed to write the log") : 0;
}

/* Handles a line of the file: counts it, skips it or prints it. */
static int
logs_line(struct logs *l, const char *line, size_t n, struct error *err)
{
	struct log_record r;
	int done = 0;

	log_parse(&r, line, n);
	if (r.time_len)
		l->is_before = memcmp(r.time, l->since, strlen(l->since)) < 0;
	if (l->is_before)
		return 0;
	if (l->is_counting)
		l->lines += !r.is_part;
	else if (l->skip == 0)
		done = logs_put(l, &r, err);
	else
		l->skip -= !r.is_part;
	l->is_at_start = !r.is_part;
	return done;
}

/* Handles what the file has more than before. */
static int
logs_copy_file(struct logs *l, struct error *err)
{
	for (;;) {
		char *larger = realloc(l->rest, l->n_rest + CHUNK), *line, *newline;
		ssize_t n;

		if (!larger)
			return error_nomem(err, "reading the log");
		l->rest = larger;
		n = RETRY_EINTR(read(l->fds[l->at], l->rest + l->n_rest, CHUNK));
		if (n < 0)
			return error_sys(err, "failed to read the log");
		if (n == 0)
			return 0;
		l->n_rest += (size_t)n;
		for (line = l->rest;; line = newline + 1) {
			size_t left = l->n_rest - (size_t)(line - l->rest);

			newline = memchr(line, '\n', left);
			if (!newline) {
				memmove(l->rest, line, left);
				l->n_rest = left;
				break;
			}
			if (logs_line(l, line, (size_t)(newline - line), err) < 0)
				return -1;
		}
	}
}

/* Handles what the log has more than before, in all of its files. */
static int
logs_copy(struct logs *l, struct error *err)
{
	for (;;) {
		bool is_known;
		int next;

		if (logs_copy_file(l, err) < 0)
			return -1;
		is_known = l->at + 1 < l->n_fds;
		next = is_known ? l->fds[l->at + 1] : logs_open_next(l);
		if (next < 0 || (!is_known && l->is_counting && l->n_fds == LOG_FILES_MAX)) {
			if (!is_known)
				close_fd(&next);
			break;
		}
		/* Nothing is added to a file once another has followed it. */
		if (logs_copy_file(l, err) < 0)
			return -1;
		l->n_rest = 0;
		if (is_known || l->is_counting) {
			l->fds[++l->at] = next;
			l->n_fds = is_known ? l->n_fds : l->at + 1;
			continue;
		}
		for (unsigned int i = 0; i < l->n_fds; i++)
			close_fd(&l->fds[i]);
		l->fds[0] = next;
		l->at = 0;
		l->n_fds = 1;
	}
	if (fflush(stdout) == EOF || fflush(stderr) == EOF)
		return error_sys(err, "failed to write the log");
	return 0;
}

/* Finds out how many lines are to be skipped. */
static int
logs_count(struct logs *l, struct error *err)
{
	if (l->tail == UINT32_MAX)
		return 0;
	l->is_counting = true;
	if (logs_copy(l, err) < 0)
		return -1;
	l->is_counting = false;
	/* The last line may have no end. */
	l->lines += !l->is_at_start;
	l->skip = l->lines > l->tail ? l->lines - l->tail : 0;
	l->is_at_start = true;
	l->is_before = false;
	l->n_rest = 0;
	l->at = 0;
	for (unsigned int i = 0; i < l->n_fds; i++)
		if (lseek(l->fds[i], 0, SEEK_SET) < 0)
			return error_sys(err, "failed to read the log");
	return 0;
}

static int
logs_copy_more(void *logs, struct error *err)
{
	return logs_copy(logs, err);
}
