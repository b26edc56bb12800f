/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch-probe VOLUME LOG: a program that watches a ConfigMap with inotify, on the directory and on
 * the version that ..data names, and reads its keys a, b and c all the time. Appends to LOG
 *	version N	when it reads a version for the first time
 *	moved NAME, deleted		when it gets these events
 *	fault TEXT	when a key is missing, or the keys are not of one version
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static const char *volume;
static int out;

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
note(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && write(out, line, (size_t)n) != n)
		_exit(1);
}

static long
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Reads all keys of the version that ..data names. A version that is no longer the current one may
 * be removed some time later: not under a reader that is as fast as this one. */
static void
read_keys(void)
{
	static int last;
	char path[PATH_MAX];
	long begin = now_ms();
	int seen = 0, dir, fd;

	(void)snprintf(path, sizeof(path), "%s/..data", volume);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		note("fault ..data: %s\n", strerror(errno));
		return;
	}
	for (const char *key = "abc"; *key; key++) {
		const char name[2] = { *key };
		char text[64] = "";
		int n = 0;

		fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && now_ms() - begin > 100)
			break;
		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0) {
			note("fault %s: %s\n", name, strerror(errno));
		} else if (sscanf(text, "version %d", &n) != 1) {
			note("fault %s has the text \"%s\"\n", name, text);
		} else if (seen && n != seen) {
			note("fault versions %d and %d\n", seen, n);
		}
		seen = n;
		if (fd >= 0)
			(void)close(fd);
	}
	(void)close(dir);
	(void)snprintf(path, sizeof(path), "%s/a", volume);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		note("fault a: %s\n", strerror(errno));
	else
		(void)close(fd);
	if (seen > last)
		note("version %d\n", seen);
	if (seen && seen < last)
		note("fault version %d after %d\n", seen, last);
	last = seen ? seen : last;
}

static void
watch_version(int notify)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/..data", volume);
	(void)inotify_add_watch(notify, path, IN_DELETE_SELF);
}

int
main(int argc, char **argv)
{
	char events[4096] __attribute__((aligned(8)));
	int notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (argc != 3)
		return 2;
	volume = argv[1];
	out = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (out < 0 || notify < 0 || inotify_add_watch(notify, volume, IN_MOVED_TO) < 0)
		return 1;
	watch_version(notify);
	note("began\n");
	for (;;) {
		ssize_t n = read(notify, events, sizeof(events));

		for (ssize_t i = 0; i < n;) {
			const struct inotify_event *e = (const void *)(events + i);

			if (e->mask & IN_MOVED_TO)
				note("moved %s\n", e->name);
			if (e->mask & IN_DELETE_SELF)
				note("deleted\n");
			if ((e->mask & IN_MOVED_TO) && strcmp(e->name, "..data") == 0)
				watch_version(notify);
			i += (ssize_t)sizeof(*e) + e->len;
		}
		read_keys();
		(void)usleep(1000);
	}
}
