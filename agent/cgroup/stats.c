/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the counters of a cgroup and of network interfaces. */
#include "agent/cgroup/stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define TEXT_MAX (64u << 10)

/* The keys of flat keyed files that are reported. factor converts the unit. */
struct wanted {
	const char *file, *key;
	enum stat_kind kind;
	uint64_t factor;
};

static const struct wanted wanted[] = {
	{ "cpu.stat", "usage_usec", STAT_CPU_TOTAL, 1000 },
	{ "cpu.stat", "user_usec", STAT_CPU_USER, 1000 },
	{ "cpu.stat", "system_usec", STAT_CPU_SYSTEM, 1000 },
	{ "cpu.stat", "throttled_usec", STAT_CPU_THROTTLED_TIME, 1000 },
	{ "cpu.stat", "nr_periods", STAT_CPU_PERIODS, 1 },
	{ "cpu.stat", "nr_throttled", STAT_CPU_THROTTLED, 1 },
	{ "memory.events", "max", STAT_MEMORY_FAILCNT, 1 },
	{ "memory.swap.events", "fail", STAT_SWAP_FAILCNT, 1 },
};

static int stats_read_number(int fd, const char *file, enum stat_kind kind, struct stats *s,
			     struct error *err);
static int stats_read_wanted(int fd, const char *file, struct stats *s, struct error *err);
static int stats_read_memory_stat(int fd, char *text, struct stats *s, struct error *err);
static int stats_read_pressure(int fd, struct stats *s, struct error *err);
static int stats_read_io(int fd, char *text, struct stats *s, struct error *err);
static int stats_read_hugetlbs(int fd, struct stats *s, struct error *err);
static int stats_read_interface(char *line, struct stats *s, struct error *err);

static int
stats_add(struct stats *s, const struct stat_record *r, struct error *err)
{
	size_t room = s->room ? s->room * 2 : 128;
	struct stat_record *list;

	if (s->n >= STATS_MAX)
		return 0;
	if (s->n == s->room) {
		list = realloc(s->list, room * sizeof(*list));
		if (!list)
			return error_nomem(err, "reading statistics");
		s->list = list;
		s->room = room;
	}
	s->list[s->n++] = *r;
	return 0;
}

/* Copies a name. Returns false for a longer one, which no runtime asks for. */
static bool
stats_set_name(struct stat_record *r, const char *name, size_t n)
{
	if (n >= sizeof(r->name))
		return false;
	memset(r->name, 0, sizeof(r->name));
	memcpy(r->name, name, n);
	return true;
}

/* Splits off the next "key value" line of a flat keyed file. */
static bool
stats_next_pair(char **rest, char **key, uint64_t *value)
{
	char *line, *blank;

	while ((line = strsep(rest, "\n"))) {
		blank = strchr(line, ' ');
		if (!blank)
			continue;
		*blank = '\0';
		*key = line;
		if (parse_u64(blank + 1, value))
			return true;
	}
	return false;
}

int
cgroup_stats_read(int fd, struct stats *s, struct error *err)
{
	static const struct {
		const char *file;
		enum stat_kind kind;
	} numbers[] = {
		{ "memory.current", STAT_MEMORY_USAGE }, { "memory.peak", STAT_MEMORY_PEAK },
		{ "memory.max", STAT_MEMORY_LIMIT },     { "memory.swap.current", STAT_SWAP_USAGE },
		{ "memory.swap.peak", STAT_SWAP_PEAK },  { "memory.swap.max", STAT_SWAP_LIMIT },
		{ "pids.current", STAT_PIDS_CURRENT },   { "pids.max", STAT_PIDS_LIMIT },
	};
	static const char *const keyed[] = { "cpu.stat", "memory.events", "memory.swap.events" };
	auto_free char *text = malloc(TEXT_MAX);

	if (!text)
		return error_nomem(err, "reading statistics");
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (stats_read_number(fd, numbers[i].file, numbers[i].kind, s, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(keyed); i++) {
		if (stats_read_wanted(fd, keyed[i], s, err) < 0)
			return -1;
	}
	if (stats_read_memory_stat(fd, text, s, err) < 0 || stats_read_pressure(fd, s, err) < 0 ||
	    stats_read_io(fd, text, s, err) < 0)
		return -1;
	return stats_read_hugetlbs(fd, s, err);
}

/* Reads a file with a single number, or "max". */
static int
stats_read_number(int fd, const char *file, enum stat_kind kind, struct stats *s, struct error *err)
{
	struct stat_record r = { .kind = kind };
	char text[64];

	if (read_text_at(fd, file, text, sizeof(text)) < 0)
		return 0;
	if (strcmp(text, "max") == 0)
		r.value = UINT64_MAX;
	else if (!parse_u64(text, &r.value))
		return 0;
	return stats_add(s, &r, err);
}

static int
stats_read_wanted(int fd, const char *file, struct stats *s, struct error *err)
{
	char text[4096], *rest = text, *key;
	struct stat_record r = { 0 };
	uint64_t value;

	if (read_text_at(fd, file, text, sizeof(text)) < 0)
		return 0;
	while (stats_next_pair(&rest, &key, &value)) {
		for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
			if (strcmp(wanted[i].file, file) != 0 || strcmp(wanted[i].key, key) != 0)
				continue;
			r.kind = wanted[i].kind;
			if (__builtin_mul_overflow(value, wanted[i].factor, &r.value))
				r.value = UINT64_MAX;
			if (stats_add(s, &r, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int
stats_read_memory_stat(int fd, char *text, struct stats *s, struct error *err)
{
	struct stat_record r = { .kind = STAT_MEMORY_STAT };
	char *rest = text, *key;

	if (read_text_at(fd, "memory.stat", text, TEXT_MAX) < 0)
		return 0;
	while (stats_next_pair(&rest, &key, &r.value)) {
		if (stats_set_name(&r, key, strlen(key)) && stats_add(s, &r, err) < 0)
			return -1;
	}
	return 0;
}

/* Reads the totals in microseconds from lines such as "some avg10=0.00 avg60=0.00 avg300=0.00
 * total=0". */
static int
stats_read_pressure(int fd, struct stats *s, struct error *err)
{
	struct stat_record r = { .kind = STAT_MEMORY_STAT };
	char text[512], *rest = text, *line, *total;
	char name[STAT_NAME_MAX];
	int n;

	if (read_text_at(fd, "memory.pressure", text, sizeof(text)) < 0)
		return 0;
	while ((line = strsep(&rest, "\n"))) {
		total = strstr(line, " total=");
		if (!total || !parse_u64(total + strlen(" total="), &r.value))
			continue;
		n = snprintf(name, sizeof(name), "pressure_%.*s_total_usec",
			     (int)strcspn(line, " "), line);
		if (n > 0 && stats_set_name(&r, name, (size_t)n) && stats_add(s, &r, err) < 0)
			return -1;
	}
	return 0;
}

/* Reads a line "major:minor key=value key=value ...". */
static int
stats_read_io_line(char *line, struct stats *s, struct error *err)
{
	struct stat_record r = { .kind = STAT_IO };
	char *word = strsep(&line, " "), *minor = strchr(word, ':'), *value;

	if (!minor)
		return 0;
	*minor++ = '\0';
	if (!parse_u32(word, &r.major) || !parse_u32(minor, &r.minor))
		return 0;
	while ((word = strsep(&line, " "))) {
		value = strchr(word, '=');
		if (!value || !parse_u64(value + 1, &r.value) ||
		    !stats_set_name(&r, word, (size_t)(value - word)))
			continue;
		if (stats_add(s, &r, err) < 0)
			return -1;
	}
	return 0;
}

static int
stats_read_io(int fd, char *text, struct stats *s, struct error *err)
{
	char *rest = text, *line;

	if (read_text_at(fd, "io.stat", text, TEXT_MAX) < 0)
		return 0;
	while ((line = strsep(&rest, "\n"))) {
		if (stats_read_io_line(line, s, err) < 0)
			return -1;
	}
	return 0;
}

/* Reads hugetlb.<size>.current and .events of one page size. */
static int
stats_read_hugetlb(int fd, const char *size, size_t n, struct stats *s, struct error *err)
{
	struct stat_record r = { .kind = STAT_HUGETLB_USAGE };
	char file[96], text[256], *rest = text, *key;

	if (!stats_set_name(&r, size, n))
		return 0;
	(void)snprintf(file, sizeof(file), "hugetlb.%s.current", r.name);
	if (read_text_at(fd, file, text, sizeof(text)) < 0 || !parse_u64(text, &r.value))
		return 0;
	if (stats_add(s, &r, err) < 0)
		return -1;
	(void)snprintf(file, sizeof(file), "hugetlb.%s.events", r.name);
	r.kind = STAT_HUGETLB_FAILCNT;
	if (read_text_at(fd, file, text, sizeof(text)) < 0)
		return 0;
	while (stats_next_pair(&rest, &key, &r.value)) {
		if (strcmp(key, "max") == 0)
			return stats_add(s, &r, err);
	}
	return 0;
}

/* Reads the huge page counters of all page sizes for which there are files. */
static int
stats_read_hugetlbs(int fd, struct stats *s, struct error *err)
{
	auto_close int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *e;
	int result = 0;
	DIR *d;

	d = copy < 0 ? NULL : fdopendir(copy);
	if (!d)
		return 0;
	(void)steal_fd(&copy);
	while (result == 0 && (e = readdir(d))) {
		const char *size = e->d_name + strlen("hugetlb."), *end;

		if (strncmp(e->d_name, "hugetlb.", strlen("hugetlb.")) != 0)
			continue;
		end = strchr(size, '.');
		if (end && strcmp(end, ".current") == 0)
			result = stats_read_hugetlb(fd, size, (size_t)(end - size), s, err);
	}
	(void)closedir(d);
	return result;
}

int
net_stats_read(int proc_fd, struct stats *s, struct error *err)
{
	auto_free char *text = malloc(TEXT_MAX);
	char *rest = text, *line;

	if (!text)
		return error_nomem(err, "reading statistics");
	if (read_text_at(proc_fd, "thread-self/net/dev", text, TEXT_MAX) < 0)
		return 0;
	while ((line = strsep(&rest, "\n"))) {
		if (stats_read_interface(line, s, err) < 0)
			return -1;
	}
	return 0;
}

/* Reads a line "  eth0: 16 numbers": received, then sent (proc_pid_net(5)). */
static int
stats_read_interface(char *line, struct stats *s, struct error *err)
{
	/* by enum stat_net */
	static const int columns[STAT_NET_FIELDS] = { 0, 1, 2, 3, 8, 9, 10, 11 };
	struct stat_record r = { .kind = STAT_NET };
	char *name = line + strspn(line, " "), *colon = strchr(name, ':'), *word;
	uint64_t values[16];
	int n = 0;

	if (!colon || !stats_set_name(&r, name, (size_t)(colon - name)) ||
	    strcmp(r.name, "lo") == 0)
		return 0;
	/* a container may give an interface a name that is not UTF-8, which runtimes cannot
	 * decode */
	for (char *c = r.name; *c && !utf8_is_valid(r.name, strlen(r.name)); c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	line = colon + 1;
	while (n < 16 && (word = strsep(&line, " "))) {
		if (*word && !parse_u64(word, &values[n++]))
			return 0;
	}
	for (uint32_t i = 0; n == 16 && i < STAT_NET_FIELDS; i++) {
		r.major = i;
		r.value = values[columns[i]];
		if (stats_add(s, &r, err) < 0)
			return -1;
	}
	return 0;
}
