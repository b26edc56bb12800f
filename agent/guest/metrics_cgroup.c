/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of all containers together, and of init, agent and workers: kata_guest_cgroup_*. Single
 * containers are reported by StatsContainer.
 */
#include <stdio.h>
#include <string.h>

#include "agent/guest/metrics_text.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

static const char *const groups[] = { "agent", "pods" };

static void metrics_cgroup_numbers(struct metrics *m, const char *const (*files)[2], size_t n);
static void metrics_cgroup_keys(struct metrics *m, const char *file);
static void metrics_cgroup_io(struct metrics *m);
static void metrics_cgroup_pressure(struct metrics *m);

void
metrics_of_cgroups(struct metrics *m)
{
	static const char *const memory[][2] = {
		{ "memory.current", "current" },
		{ "memory.peak", "peak" },
		{ "memory.max", "limit" },
		{ "memory.swap.current", "swap_current" },
	};
	static const char *const pids[][2] = { { "pids.current", "current" },
					       { "pids.peak", "peak" } };

	metric_family(m, "kata_guest_cgroup_memory_bytes", "gauge",
		      "Memory in bytes of all containers (pods) and of init and agent (agent).");
	metrics_cgroup_numbers(m, memory, ARRAY_LEN(memory));
	metric_family(m, "kata_guest_cgroup_memory_events", "gauge",
		      "Number of times that memory limits were reached and processes killed.");
	metrics_cgroup_keys(m, "memory.events");
	metric_family(m, "kata_guest_cgroup_memory_stat", "gauge",
		      "Memory by type in bytes, and counters of memory management.");
	metrics_cgroup_keys(m, "memory.stat");
	metric_family(m, "kata_guest_cgroup_cpu", "gauge",
		      "CPU time in microseconds, and counters of throttling.");
	metrics_cgroup_keys(m, "cpu.stat");
	metric_family(m, "kata_guest_cgroup_tasks", "gauge", "Number of processes and threads.");
	metrics_cgroup_numbers(m, pids, ARRAY_LEN(pids));
	metric_family(m, "kata_guest_cgroup_io", "gauge",
		      "Bytes and operations of all disks together.");
	metrics_cgroup_io(m);
	metric_family(m, "kata_guest_cgroup_pressure_usec", "gauge",
		      "Time in microseconds in which some or all tasks waited for a resource.");
	metrics_cgroup_pressure(m);
}

static char *
metrics_cgroup_read(struct metrics *m, const char *group, const char *file)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "%s/%s", group, file);
	return metrics_read(m, m->roots->cgroup, path);
}

/* Writes the numbers in these files. "max" means no limit, and gives no sample. */
static void
metrics_cgroup_numbers(struct metrics *m, const char *const (*files)[2], size_t n)
{
	uint64_t value;

	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		for (size_t i = 0; i < n; i++) {
			char *text = metrics_cgroup_read(m, groups[g], files[i][0]);

			if (text && parse_u64(text, &value))
				metric_item2(m, "cgroup", groups[g], files[i][1], value);
		}
	}
}

/* Writes all keys of a flat keyed file. */
static void
metrics_cgroup_keys(struct metrics *m, const char *file)
{
	uint64_t value;

	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		char *text = metrics_cgroup_read(m, groups[g], file), *key;

		while (text && metrics_next_pair(&text, &key, &value))
			metric_item2(m, "cgroup", groups[g], key, value);
	}
}

/* Writes the sums over all disks of lines "254:0 rbytes=1 wbytes=2 ...". */
static void
metrics_cgroup_io(struct metrics *m)
{
	static const char *const items[] = { "rbytes", "wbytes", "rios", "wios", "dbytes", "dios" };

	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		char *text = metrics_cgroup_read(m, groups[g], "io.stat"), *word, *equals;
		uint64_t totals[ARRAY_LEN(items)] = { 0 }, value;

		if (!text)
			continue;
		while ((word = strsep(&text, " \n")) != NULL) {
			equals = strchr(word, '=');
			if (!equals || !parse_u64(equals + 1, &value))
				continue;
			*equals = '\0';
			for (size_t i = 0; i < ARRAY_LEN(items); i++)
				totals[i] += strcmp(items[i], word) == 0 ? value : 0;
		}
		for (size_t i = 0; i < ARRAY_LEN(items); i++)
			metric_item2(m, "cgroup", groups[g], items[i], totals[i]);
	}
}

/* Writes the totals of "some" and "full". */
static void
metrics_cgroup_pressure(struct metrics *m)
{
	static const char *const resources[] = { "cpu", "memory", "io" };
	char file[32];

	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
			char *text, *line, *total;
			uint64_t usec;

			(void)snprintf(file, sizeof(file), "%s.pressure", resources[i]);
			text = metrics_cgroup_read(m, groups[g], file);
			while ((line = strsep(&text, "\n")) != NULL) {
				total = strstr(line, " total=");
				if (!total || !parse_u64(total + strlen(" total="), &usec))
					continue;
				line[strcspn(line, " ")] = '\0';
				metric_sample(m, usec,
					      METRIC_LABELS({ "cgroup", groups[g] },
							    { "resource", resources[i] },
							    { "kind", line }),
					      3);
			}
		}
	}
}
