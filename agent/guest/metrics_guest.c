/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the guest's load, tasks, processors, entropy and pressure: kata_guest_*. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/guest/metrics_text.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

static void metrics_guest_load(struct metrics *m);
static void metrics_guest_uptime(struct metrics *m);
static void metrics_guest_cpus(struct metrics *m);
static void metrics_guest_entropy(struct metrics *m);
static void metrics_guest_pressure(struct metrics *m, bool total);

void
metrics_of_guest(struct metrics *m)
{
	metrics_guest_load(m);
	metrics_guest_uptime(m);
	metrics_guest_cpus(m);
	metrics_guest_entropy(m);
}

/* Writes the load from a line "0.20 0.18 0.12 1/80 11206" (proc_loadavg(5)). */
static void
metrics_guest_load(struct metrics *m)
{
	static const char *const names[] = { "load1", "load5", "load15" };
	char *text = metrics_read(m, m->roots->proc, "loadavg"), *word, *slash;
	uint64_t cur, max;

	metric_family(m, "kata_guest_load", "gauge", "Load average of the guest.");
	for (size_t i = 0; i < ARRAY_LEN(names) && (word = strsep(&text, " ")) != NULL; i++)
		metric_decimal(m, word, METRIC_LABELS({ "item", names[i] }), 1);
	word = strsep(&text, " ");
	slash = word ? strchr(word, '/') : NULL;
	if (!slash)
		return;
	*slash = '\0';
	if (!parse_u64(word, &cur) || !parse_u64(slash + 1, &max))
		return;
	metric_family(m, "kata_guest_tasks", "gauge",
		      "Number of running tasks and of all tasks of "
		      "the guest.");
	metric_item(m, "cur", cur);
	metric_item(m, "max", max);
}

static void
metrics_guest_uptime(struct metrics *m)
{
	char *text = metrics_read(m, m->roots->proc, "uptime");

	metric_family(m, "kata_guest_uptime_seconds", "gauge",
		      "Time since the start of the "
		      "guest's kernel in seconds.");
	if (text)
		metric_decimal(m, strsep(&text, " "), NULL, 0);
}

/* Writes a line "cpu  ..." or "cpu0 ..." (proc_stat(5)), in milliseconds. */
static void
metrics_guest_cpu(struct metrics *m, char *line, uint64_t hz)
{
	static const char *const names[] = { "user", "nice",    "system", "idle",  "iowait",
					     "irq",  "softirq", "steal",  "guest", "guest_nice" };
	char *word = strsep(&line, " ");
	const char *cpu = word[3] ? word + 3 : "total";
	uint64_t ticks;

	for (size_t i = 0; i < ARRAY_LEN(names) && (word = strsep(&line, " ")) != NULL;) {
		/* "cpu" is followed by two blanks */
		if (!*word)
			continue;
		if (!parse_u64(word, &ticks))
			return;
		metric_item2(m, "cpu", cpu, names[i++], ticks / hz * 1000 + ticks % hz * 1000 / hz);
	}
}

static void
metrics_guest_cpus(struct metrics *m)
{
	char *text = metrics_read(m, m->roots->proc, "stat"), *line;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	metric_family(m, "kata_guest_cpu_time", "gauge",
		      "CPU time of the guest by mode in milliseconds.");
	while (hz > 0 && (line = strsep(&text, "\n")) != NULL) {
		if (strncmp(line, "cpu", 3) == 0)
			metrics_guest_cpu(m, line, hz);
	}
}

static void
metrics_guest_entropy(struct metrics *m)
{
	char *text = metrics_read(m, m->roots->proc, "sys/kernel/random/entropy_avail");
	uint64_t bits;

	metric_family(m, "kata_guest_entropy_bits", "gauge",
		      "Entropy of the kernel's random number generator in bits; "
		      "256 when it is ready.");
	if (text && parse_u64(text, &bits))
		metric_sample(m, bits, NULL, 0);
}

void
metrics_of_pressure(struct metrics *m)
{
	metric_family(m, "kata_guest_pressure_percent", "gauge",
		      "Percentage of time in which some or all tasks waited for a resource.");
	metrics_guest_pressure(m, false);
	metric_family(m, "kata_guest_pressure_total_usec", "gauge",
		      "Time in microseconds in which some or all tasks waited for a resource.");
	metrics_guest_pressure(m, true);
}

/* Writes a line "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"
 * (Documentation/accounting/psi.rst). */
static void
metrics_guest_pressure_line(struct metrics *m, const char *resource, char *line, bool total)
{
	char *word, *kind = strsep(&line, " "), *equals;
	uint64_t usec;

	while ((word = strsep(&line, " ")) != NULL) {
		equals = strchr(word, '=');
		if (!equals)
			continue;
		*equals = '\0';
		if (total != (strcmp(word, "total") == 0))
			continue;
		if (!total)
			metric_decimal(m, equals + 1,
				       METRIC_LABELS({ "resource", resource }, { "kind", kind },
						     { "item", word }),
				       3);
		else if (parse_u64(equals + 1, &usec))
			metric_sample(m, usec,
				      METRIC_LABELS({ "resource", resource }, { "kind", kind }), 2);
	}
}

static void
metrics_guest_pressure(struct metrics *m, bool total)
{
	static const char *const resources[] = { "cpu", "memory", "io", "irq" };
	char path[32], *text, *line;

	for (size_t i = 0; i < ARRAY_LEN(resources); i++) {
		(void)snprintf(path, sizeof(path), "pressure/%s", resources[i]);
		text = metrics_read(m, m->roots->proc, path);
		while ((line = strsep(&text, "\n")) != NULL)
			metrics_guest_pressure_line(m, resources[i], line, total);
	}
}
