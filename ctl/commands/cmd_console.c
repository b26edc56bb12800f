/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl console: what the guest of a VM in the background wrote to its console. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/vm/state.h"
#include "ctl/vm/watcher.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define CHUNK (64u << 10)

static const char usage[] =
	"usage: tatamictl console [-f] [-n LINES] NAME\n"
	"Prints what the kernel and the agent of VM NAME wrote to the guest's console. It is kept\n"
	"until `tatamictl rm NAME`: the first 256 KiB and, of more than 16 MiB, the last 8.\n"
	"\n"
	"  -f, --follow      go on until the VM ends\n"
	"  -n, --tail LINES  only the last LINES lines\n"
	"  -h, --help        print this\n";

struct console {
	bool follow;
	/* lines from the end, UINT32_MAX: all */
	uint32_t tail;
	int fd;
	/* the offset of the next byte, and whether the rest of a line there is skipped, because
	 * its begin is lost */
	off_t at;
	bool is_in_line;
	/* the last byte that was printed */
	char last;
};

static int console_skip(struct console *c, struct error *err);
static int console_copy(void *console, struct error *err);

int
cmd_console(int argc, char **argv)
{
	struct console c = { .tail = UINT32_MAX, .fd = -1, .last = '\n' };
	char path[PATH_MAX + 16];
	const struct command_option options[] = {
		{ "follow", 'f', .flag = &c.follow },
		{ "tail", 'n', .number = &c.tail },
	};
	const struct command_line line = {
		.usage = usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 1,
		.operands_max = 1,
	};
	struct error err = ERROR_INIT;
	struct vm_state state;
	int r, first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	r = state_read(argv[first], &state, &err);
	if (r == 0) {
		(void)snprintf(path, sizeof(path), "%s/console.log", state.dir);
		c.fd = open(path, O_RDONLY | O_CLOEXEC);
		if (c.fd < 0)
			r = error_sys(&err, "failed to open %s", path);
	}
	if (r == 0)
		r = console_skip(&c, &err);
	if (r == 0)
		r = c.follow ? state_follow(&state, console_copy, &c, &err)
			     : console_copy(&c, &err);
	close_fd(&c.fd);
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "tatamictl console: %s\n", err.msg);
	return EXIT_FAILED;
}

/* Moves to the begin of the last lines, backwards from the end, not into a hole (watcher.h). */
static int
console_skip(struct console *c, struct error *err)
{
	off_t at = lseek(c->fd, 0, SEEK_END), begin = watcher_last_part(c->fd);
	uint64_t newlines = 0;
	char part[4096];
	bool is_last = true;

	if (c->tail == UINT32_MAX)
		return 0;
	while (at > begin && newlines <= c->tail) {
		size_t n = at - begin < (off_t)sizeof(part) ? (size_t)(at - begin) : sizeof(part);

		if (pread(c->fd, part, n, at - (off_t)n) != (ssize_t)n)
			return error_sys(err, "failed to read the console");
		for (; n > 0 && newlines <= c->tail; n--, at--) {
			c->at = at;
			/* The newline that ends the file begins no line. */
			if (c->tail == 0 ||
			    (part[n - 1] == '\n' && !is_last && ++newlines == c->tail))
				return 0;
			is_last = false;
		}
	}
	c->at = at;
	c->is_in_line = at > 0;
	return 0;
}

/* Skips a hole at the current offset, and reports it. Returns how many of the `n` bytes that were
 * read there are before the next hole. */
static size_t
console_check(struct console *c, size_t n)
{
	off_t data = lseek(c->fd, c->at, SEEK_DATA), hole;

	if (data > c->at) {
		(void)fprintf(stderr, "tatamictl console: %lld bytes are no longer kept here\n",
			      (long long)(data - c->at));
		if (c->last != '\n')
			(void)write_full(STDOUT_FILENO, "\n", 1);
		c->last = '\n';
		c->at = data;
		c->is_in_line = true;
		return 0;
	}
	hole = lseek(c->fd, c->at, SEEK_HOLE);
	return hole > c->at && (uint64_t)(hole - c->at) < n ? (size_t)(hole - c->at) : n;
}

/* Copies what the file has more than before. */
static int
console_copy(void *console, struct error *err)
{
	struct console *c = console;
	static char part[CHUNK];
	struct stat st;
	ssize_t got;

	/* It was truncated, on a file system without holes. */
	if (fstat(c->fd, &st) == 0 && st.st_size < c->at)
		c->at = 0;
	while ((got = RETRY_EINTR(pread(c->fd, part, sizeof(part), c->at))) > 0) {
		/* After reading: the hole may be a new one. */
		size_t n = console_check(c, (size_t)got), skip = 0;

		if (c->is_in_line && n > 0) {
			const char *newline = memchr(part, '\n', n);

			skip = newline ? (size_t)(newline + 1 - part) : n;
			c->is_in_line = !newline;
		}
		c->at += (off_t)n;
		if (n > skip)
			c->last = part[n - 1];
		if (write_full(STDOUT_FILENO, part + skip, n - skip) < 0)
			return error_sys(err, "failed to write the console");
	}
	return got < 0 ? error_sys(err, "failed to read the console") : 0;
}
