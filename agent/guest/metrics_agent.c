/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own metrics: kata_agent_*. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/guest/memagent.h"
#include "agent/guest/metrics_text.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

/* Fields of /proc/<pid>/stat after the name, counted from the state (proc_pid_stat(5): field 3). */
enum stat_field {
	STAT_UTIME = 11,
	STAT_STIME,
	STAT_CUTIME,
	STAT_CSTIME,
	STAT_THREADS = 17,
	STAT_VSIZE = 20,
	STAT_RSS,
	STAT_FIELDS,
};

static void metrics_agent_stat(struct metrics *m);
static void metrics_agent_status(struct metrics *m);
static void metrics_agent_io(struct metrics *m);
static void metrics_agent_fds(struct metrics *m);
static void metrics_agent_memagent(struct metrics *m);

void
metrics_of_agent(struct metrics *m)
{
	metric_family(m, "kata_agent_scrape_count", "counter", "Number of metrics requests.");
	metric_sample(m, m->agent->scrapes, NULL, 0);
	metric_family(m, "kata_agent_info", "gauge",
		      "Version of the agent as a label; "
		      "the value is 1.");
	metric_sample(m, 1, METRIC_LABELS({ "version", m->agent->version }), 1);
	metric_family(m, "kata_agent_workers", "gauge", "Number of running worker processes.");
	metric_sample(m, m->agent->workers, NULL, 0);
	metrics_agent_stat(m);
	metrics_agent_status(m);
	metrics_agent_io(m);
	metrics_agent_fds(m);
	metrics_agent_memagent(m);
}

static char *
metrics_agent_read(struct metrics *m, const char *file)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/%s", (int)m->agent->pid, file);
	return metrics_read(m, m->roots->proc, path);
}

static bool
metrics_agent_parse_stat(char *text, uint64_t values[STAT_FIELDS])
{
	char *word, *rest = strrchr(text, ')');
	int i = 0;

	if (!rest || rest[1] != ' ')
		return false;
	rest += 2;
	while (i < STAT_FIELDS && (word = strsep(&rest, " ")) != NULL) {
		values[i] = 0;
		/* the state is a letter, priorities may be negative */
		(void)parse_u64(word, &values[i]);
		i++;
	}
	return i == STAT_FIELDS;
}

static void
metrics_agent_stat(struct metrics *m)
{
	uint64_t v[STAT_FIELDS], hz = (uint64_t)sysconf(_SC_CLK_TCK);
	char *text = metrics_agent_read(m, "stat");
	char seconds[48];

	if (!text || !metrics_agent_parse_stat(text, v) || hz == 0)
		return;
	metric_family(m, "kata_agent_threads", "gauge", "Number of threads of the agent.");
	metric_sample(m, v[STAT_THREADS], NULL, 0);
	metric_family(m, "kata_agent_total_time", "gauge",
		      "User and system CPU time of the agent in seconds.");
	(void)snprintf(seconds, sizeof(seconds), "%llu.%02llu",
		       (unsigned long long)((v[STAT_UTIME] + v[STAT_STIME]) / hz),
		       (unsigned long long)((v[STAT_UTIME] + v[STAT_STIME]) % hz * 100 / hz));
	metric_decimal(m, seconds, NULL, 0);
	metric_family(m, "kata_agent_total_vm", "gauge", "Virtual memory of the agent in bytes.");
	metric_sample(m, v[STAT_VSIZE], NULL, 0);
	metric_family(m, "kata_agent_total_rss", "gauge", "Resident memory of the agent in bytes.");
	metric_sample(m, v[STAT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE), NULL, 0);
	metric_family(m, "kata_agent_proc_stat", "gauge", "CPU time of the agent in clock ticks.");
	metric_item(m, "utime", v[STAT_UTIME]);
	metric_item(m, "stime", v[STAT_STIME]);
	metric_item(m, "cutime", v[STAT_CUTIME]);
	metric_item(m, "cstime", v[STAT_CSTIME]);
}

/* Returns whether a key of /proc/<pid>/status is reported: memory in kB, and context switches. */
static bool
metrics_agent_is_wanted(const char *key)
{
	return strncmp(key, "Vm", 2) == 0 || strncmp(key, "Rss", 3) == 0 ||
	       strcmp(key, "HugetlbPages") == 0 || strstr(key, "voluntary_ctxt_switches");
}

/* Parses "Key:   123 kB". */
static bool
metrics_agent_parse_line(char *line, char *key, size_t size, uint64_t *value)
{
	char *colon = strchr(line, ':'), *number;
	size_t n = colon ? (size_t)(colon - line) : 0;

	if (n == 0 || n >= size)
		return false;
	memcpy(key, line, n);
	key[n] = '\0';
	number = colon + 1 + strspn(colon + 1, " \t");
	number[strcspn(number, " ")] = '\0';
	return parse_u64(number, value);
}

static void
metrics_agent_status(struct metrics *m)
{
	char *text = metrics_agent_read(m, "status"), *line, key[48];
	uint64_t value;

	metric_family(m, "kata_agent_proc_status", "gauge",
		      "Memory in kB and context switches of the agent.");
	while ((line = strsep(&text, "\n")) != NULL) {
		if (!metrics_agent_parse_line(line, key, sizeof(key), &value) ||
		    !metrics_agent_is_wanted(key))
			continue;
		for (char *c = key; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		metric_item(m, key, value);
	}
}

static void
metrics_agent_io(struct metrics *m)
{
	char *text = metrics_agent_read(m, "io"), *line, key[48];
	uint64_t value;

	metric_family(m, "kata_agent_io_stat", "gauge",
		      "Bytes and system calls of the agent's "
		      "input and output.");
	while ((line = strsep(&text, "\n")) != NULL) {
		if (metrics_agent_parse_line(line, key, sizeof(key), &value))
			metric_item(m, key, value);
	}
}

static void
metrics_agent_fds(struct metrics *m)
{
	const struct dirent *e;
	uint64_t n = 0;
	char path[64];
	DIR *dir;
	int fd;

	(void)snprintf(path, sizeof(path), "%d/fd", (int)m->agent->pid);
	fd = openat(m->roots->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		close_fd(&fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	metric_family(m, "kata_agent_fds", "gauge", "Open file descriptors of the agent.");
	metric_sample(m, n, NULL, 0);
}

static void
metrics_agent_memagent(struct metrics *m)
{
	const struct memagent_counts *c = m->agent->memory;

	metric_family(
		m, "kata_agent_mem_agent", "counter",
		"Activity of the memory agent: periods, reclaimed bytes, and how often pressure "
		"stopped it.");
	if (!c)
		return;
	metric_item(m, "reclaim_runs", c->reclaim_runs);
	metric_item(m, "reclaimed_bytes", c->reclaimed_bytes);
	metric_item(m, "reclaim_stopped", c->reclaim_stopped);
	metric_item(m, "compact_runs", c->compact_runs);
	metric_item(m, "compact_stopped", c->compact_stopped);
}
