/* SPDX-License-Identifier: Apache-2.0 */
/* The choice of a container to limit when the pods have reached memory.high. */
#include "agent/cgroup/pressure.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "init/cgroups.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define STAT_MAX 16384
/* The longest time that the write of a limit takes, in microseconds. */
#define WRITE_US 50000

/* A cgroup is large if it uses at least memory.high / LARGE_SHARE. Limiting a smaller one would
 * free too little. */
#define LARGE_SHARE 8

static bool
pressure_read_number(int dir, const char *file, uint64_t *n)
{
	char text[32];

	if (read_text_at(dir, file, text, sizeof(text)) < 0)
		return false;
	if (strcmp(text, "max") != 0)
		return parse_u64(text, n);
	*n = UINT64_MAX;
	return true;
}

/* Returns the sum of the values of these keys in a flat keyed file. */
static uint64_t
pressure_sum_of(const char *text, const char *const *keys)
{
	uint64_t sum = 0, n;

	for (; *keys; keys++) {
		size_t len = strlen(*keys);
		const char *line = text;
		char number[24];

		while (line && (strncmp(line, *keys, len) != 0 || line[len] != ' ')) {
			line = strchr(line, '\n');
			line = line ? line + 1 : NULL;
		}
		if (!line)
			continue;
		(void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(line + len + 1, "\n"),
			       line + len + 1);
		if (parse_u64(number, &n))
			sum += n;
	}
	return sum;
}

/* Reads the number of bytes in use that the kernel cannot reclaim without killing. */
static bool
pressure_hard_usage(int dir, uint64_t *out)
{
	static const char *const soft[] = { "active_file", "inactive_file", "slab_reclaimable",
					    NULL };
	auto_free char *text = malloc(STAT_MAX);
	uint64_t n, file;

	if (!text || !pressure_read_number(dir, "memory.current", &n) ||
	    read_text_at(dir, "memory.stat", text, STAT_MAX) < 0)
		return false;
	file = pressure_sum_of(text, soft);
	*out = file < n ? n - file : 0;
	return true;
}

struct candidate {
	size_t index;
	uint64_t used, own;
};

static void
pressure_larger(struct candidate *most, const struct candidate *c)
{
	if (c->used > most->used)
		*most = *c;
}

int
pressure_choose(int root, const struct pressure_cgroup *cgroups, size_t n,
		struct pressure_choice *out)
{
	struct candidate free_one = { 0 }, any = { 0 }, *chosen;
	auto_close int pods = cgroup_open(root, CGROUP_PODS);
	uint64_t high, max, used, room, others;

	if (pods < 0)
		return -1;
	if (!pressure_hard_usage(pods, &used) ||
	    !pressure_read_number(pods, "memory.high", &high) ||
	    !pressure_read_number(pods, "memory.max", &max) || high >= max)
		goto invalid;
	for (size_t i = 0; i < n; i++) {
		auto_close int dir = cgroup_open(root, cgroups[i].path);
		struct candidate c = { .index = i };

		if (dir < 0 || !pressure_hard_usage(dir, &c.used) ||
		    !pressure_read_number(dir, "memory.max", &c.own))
			continue;
		/* It was limited before, and its processes are still ending. What they free is
		 * not known yet: a smaller container must not be limited instead. */
		if (c.own < max && c.used > c.own + c.own / 16)
			return 0;
		pressure_larger(&any, &c);
		if (c.own >= max || cgroups[i].is_held)
			pressure_larger(&free_one, &c);
	}
	chosen = free_one.used >= high / LARGE_SHARE ? &free_one : &any;
	/* the target for all pods, far enough below memory.high to leave the others some room */
	room = high - (max - high) / 2;
	others = used > chosen->used ? used - chosen->used : 0;
	if (chosen->used < high / LARGE_SHARE || others + chosen->used <= room)
		return 0;
	*out = (struct pressure_choice){ .index = chosen->index, .own = chosen->own };
	out->limit = others < room ? room - others : 0;
	if (out->limit < chosen->used / 2)
		out->limit = chosen->used / 2;
	/* the kernel counts pages, of at most 64 KiB */
	out->limit -= out->limit % 65536;
	return out->limit < chosen->own;
invalid:
	errno = EINVAL;
	return -1;
}

static void
pressure_on_alarm(int sig)
{
	(void)sig;
}

int
pressure_set_limit(int root, const char *path, uint64_t limit)
{
	const struct itimerval ticks = { .it_interval.tv_usec = WRITE_US,
					 .it_value.tv_usec = WRITE_US };
	const struct sigaction alarm = { .sa_handler = pressure_on_alarm };
	auto_close int dir = cgroup_open(root, path);
	char text[32] = "max";
	int result, saved;

	if (limit != UINT64_MAX)
		(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
	if (dir < 0)
		return -1;
	/* The kernel sets the limit, and then kills and waits in a loop until the usage is below
	 * it. It does not yield the processor, which the killed processes may need to end. A signal
	 * ends the loop; the limit stays in force, and a process that exceeds it later is killed
	 * then. */
	(void)sigaction(SIGALRM, &alarm, NULL);
	(void)setitimer(ITIMER_REAL, &ticks, NULL);
	result = write_text_at(dir, "memory.max", text);
	saved = errno;
	(void)setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	errno = saved;
	return result;
}

bool
pressure_is_over(int root, const char *path, uint64_t limit, bool *mine)
{
	auto_close int dir = cgroup_open(root, path);
	uint64_t used, now;

	*mine = dir >= 0 && pressure_read_number(dir, "memory.max", &now) && now == limit;
	return !*mine || (pressure_hard_usage(dir, &used) && used < limit / 2);
}

int
pressure_events(int fd, uint64_t *n)
{
	static const char *const keys[] = { "high", "max", NULL };
	char text[512];
	ssize_t r = pread(fd, text, sizeof(text) - 1, 0);

	if (r < 0)
		return -1;
	text[r] = '\0';
	*n = pressure_sum_of(text, keys);
	return 0;
}
