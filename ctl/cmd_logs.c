/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl logs: the output of a container in the background, also after its end. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/log.h"
#include "ctl/record.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/sys.h"

#define CHUNK (64u << 10)

static const char usage[] =
	"usage: tatamictl logs [-f] [-t] [-n LINES] [-c CONTAINER] NAME\n"
	"Prints the output of the container of VM NAME, what it wrote to stderr on stderr. The\n"
	"log is kept until `tatamictl rm NAME`.\n"
	"\n"
	"  -c, --container NAME   the container (default: the first)\n"
	"  -f, --follow           go on until the VM ends\n"
	"  -n, --tail LINES       only the last LINES lines\n"
	"  -t, --timestamps       begin each line with its time\n"
	"  -h, --help             print this\n";

struct logs {
	const char *vm, *container;
	bool follow, timestamps;
	/* lines from the end, UINT32_MAX: all */
	uint32_t tail;
	int fd;
	/* the part of the file that has been read and does not end with a newline */
	char *rest;
	size_t n_rest;
	/* the last record ended with its line */
	bool is_at_start;
	/* lines are counted, not printed */
	bool is_counting;
	/* lines counted; lines that are not to be printed */
	uint64_t lines, skip;
};

static int logs_parse(struct logs *l, int argc, char **argv);
static int logs_count(struct logs *l, struct error *err);
static int logs_copy(struct logs *l, struct error *err);
static int logs_follow(struct logs *l, const struct vm_state *state, struct error *err);

int
cmd_logs(int argc, char **argv)
{
	struct logs l = { .tail = UINT32_MAX, .fd = -1, .is_at_start = true };
	char path[PATH_MAX + 256];
	struct error err = ERROR_INIT;
	struct vm_state state;
	int r = logs_parse(&l, argc, argv);

	if (r != 0)
		return r > 0 ? 0 : EXIT_USAGE;
	r = state_read(l.vm, &state, &err);
	if (r == 0) {
		record_log(&state, l.container, path, sizeof(path));
		l.fd = open(path, O_RDONLY | O_CLOEXEC);
		if (l.fd < 0 && errno == ENOENT)
			r = error_set(&err, ERROR_NOT_FOUND, "%s has no log of container %s", l.vm,
				      l.container ? l.container : state.container);
		else if (l.fd < 0)
			r = error_sys(&err, "failed to open %s", path);
	}
	if (r == 0)
		r = logs_count(&l, &err);
	if (r == 0)
		r = l.follow ? logs_follow(&l, &state, &err) : logs_copy(&l, &err);
	close_fd(&l.fd);
	free(l.rest);
	if (r == 0)
		return 0;
	(void)fprintf(stderr, "tatamictl logs: %s\n", err.msg);
	return EXIT_FAILED;
}

static int
logs_parse(struct logs *l, int argc, char **argv)
{
	static const struct option options[] = {
		{ "container", required_argument, NULL, 'c' },
		{ "follow", no_argument, NULL, 'f' },
		{ "tail", required_argument, NULL, 'n' },
		{ "timestamps", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	optind = 0;
	while ((opt = getopt_long(argc, argv, "c:fn:th", options, NULL)) != -1) {
		if (opt == 'c') {
			l->container = optarg;
		} else if (opt == 'f') {
			l->follow = true;
		} else if (opt == 't') {
			l->timestamps = true;
		} else if (opt == 'n' && parse_u32(optarg, &l->tail)) {
			continue;
		} else {
			(void)fprintf(opt == 'h' ? stdout : stderr, "%s", usage);
			return opt == 'h' ? 1 : -1;
		}
	}
	if (argc - optind == 1 && (!l->container || !strchr(l->container, '/'))) {
		l->vm = argv[optind];
		return 0;
	}
	(void)fprintf(stderr, "%s", usage);
	return -1;
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
logs_copy(struct logs *l, struct error *err)
{
	for (;;) {
		char *larger = realloc(l->rest, l->n_rest + CHUNK), *line, *newline;
		ssize_t n;

		if (!larger)
			return error_nomem(err, "reading the log");
		l->rest = larger;
		n = RETRY_EINTR(read(l->fd, l->rest + l->n_rest, CHUNK));
		if (n < 0)
			return error_sys(err, "failed to read the log");
		if (n == 0)
			break;
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
	l->n_rest = 0;
	return lseek(l->fd, 0, SEEK_SET) < 0 ? error_sys(err, "failed to read the log") : 0;
}

static int
logs_follow(struct logs *l, const struct vm_state *state, struct error *err)
{
	auto_close int monitor = sys_pidfd_open(state->monitor, 0);
	auto_close int changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	bool is_alive = state_is_alive(state) && monitor >= 0;
	struct pollfd p[] = { { .fd = changes, .events = POLLIN },
			      { .fd = monitor, .events = POLLIN },
			      { .fd = STDOUT_FILENO } };
	char events[4096];

	if (changes < 0 || inotify_add_watch(changes, state->dir, IN_MODIFY | IN_CREATE) < 0)
		return error_sys(err, "failed to watch the log");
	for (;;) {
		if (logs_copy(l, err) < 0)
			return -1;
		if (!is_alive)
			return 0;
		if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
			return error_sys(err, "failed to wait for the log");
		/* The reader of this output has gone. */
		if (p[2].revents & POLLERR)
			return 0;
		while (read(changes, events, sizeof(events)) > 0)
			continue;
		is_alive = p[1].revents == 0;
	}
}
