/* SPDX-License-Identifier: Apache-2.0 */
/* The timeline of --timing. */
#include "ctl/vm/timeline.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "lib/cleanup.h"
#include "lib/log_event.h"
#include "lib/parse.h"

/* Events whose records carry times. */
static const char *const events[] = { EVENT_GUEST_SET_UP, EVENT_AGENT_READY, EVENT_FIRST_CHECK };

/* Timestamps of the guest's monotonic clock, which starts with the kernel: key in the log and
 * name in the table. */
static const struct {
	const char *key, *name;
} stamps[] = {
	{ "init-us", "guest: PID 1" },
	{ "agent-us", "guest: agent started" },
	{ "listening-us", "guest: agent listening" },
	{ "first-check-us", "guest: first Check" },
};

static void timeline_take_record(struct timeline *t, const char *line);

void
timeline_read_console(struct timeline *t, const char *console)
{
	FILE *f = fopen(console, "re");
	auto_free char *line = NULL;
	size_t size = 0;

	t->n_stages = 0;
	if (!f)
		return;
	while (getline(&line, &size, f) >= 0) {
		const char *brace = strchr(line, '{');

		if (brace && strstr(brace, "\"event\""))
			timeline_take_record(t, brace);
	}
	(void)fclose(f);
}

static bool
timeline_has_times(const json_t *record)
{
	const char *event = json_string_value(json_object_get(record, "event"));

	for (size_t i = 0; event && i < ARRAY_LEN(events); i++) {
		if (strcmp(event, events[i]) == 0)
			return true;
	}
	return false;
}

static bool
timeline_take_stamp(struct timeline *t, const char *key, const char *text)
{
	uint64_t us;

	for (size_t i = 0; i < ARRAY_LEN(stamps); i++) {
		if (strcmp(stamps[i].key, key) != 0 || !parse_u64(text, &us))
			continue;
		(void)snprintf(t->stages[t->n_stages].name, sizeof(t->stages[0].name), "%s",
			       stamps[i].name);
		t->stages[t->n_stages++].ms = (double)us / 1000;
		return true;
	}
	return false;
}

/* Parses "1.234 ms". */
static int
timeline_parse_ms(const char *text, double *out)
{
	uint64_t whole, thousandths;
	char copy[40], *dot;
	size_t n = strlen(text);

	if (n < 4 || n >= sizeof(copy) || strcmp(text + n - 3, " ms") != 0)
		return -1;
	memcpy(copy, text, n - 3);
	copy[n - 3] = '\0';
	dot = strchr(copy, '.');
	if (!dot || strlen(dot + 1) != 3)
		return -1;
	*dot = '\0';
	if (!parse_u64(copy, &whole) || !parse_u64(dot + 1, &thousandths))
		return -1;
	*out = (double)whole + (double)thousandths / 1000;
	return 0;
}

static void
timeline_take_record(struct timeline *t, const char *line)
{
	json_t *record = json_loads(line, 0, NULL);
	const char *source = json_string_value(json_object_get(record, "source"));
	const char *key;
	json_t *value;

	if (!timeline_has_times(record)) {
		json_decref(record);
		return;
	}
	json_object_foreach(record, key, value)
	{
		const char *text = json_string_value(value);
		double ms;

		if (!text || t->n_stages == TIMELINE_STAGES_MAX ||
		    timeline_take_stamp(t, key, text) || timeline_parse_ms(text, &ms) < 0)
			continue;
		(void)snprintf(t->stages[t->n_stages].name, sizeof(t->stages[0].name),
			       "%.16s: %.28s", source ? source : "guest", key);
		t->stages[t->n_stages++].ms = ms;
	}
	json_decref(record);
}

static void
timeline_print_row(const char *name, uint64_t from, uint64_t start, uint64_t at)
{
	if (at)
		(void)fprintf(stderr, "  %-34s %9.1f ms   +%.1f\n", name,
			      (double)(at - start) / 1e6,
			      (double)(at - (from ? from : start)) / 1e6);
}

void
timeline_print(const struct timeline *t)
{
	(void)fprintf(stderr, "timeline (host clock, since QEMU was started)\n");
	timeline_print_row("agent ready (Check answered)", 0, t->vm, t->agent);
	timeline_print_row("sandbox created", t->agent, t->vm, t->sandbox);
	timeline_print_row("container created", t->sandbox, t->vm, t->created);
	timeline_print_row("container started", t->created, t->vm, t->started);
	timeline_print_row("first byte of output", t->started, t->vm, t->first_byte);
	timeline_print_row("container exited", t->started, t->vm, t->exited);
	timeline_print_row("VM gone", t->exited, t->vm, t->stopped);
	if (t->n_stages)
		(void)fprintf(stderr, "inside the guest (its own clock: stages of init, "
				      "then times since the kernel started)\n");
	for (size_t i = 0; i < t->n_stages; i++)
		(void)fprintf(stderr, "  %-34s %9.3f ms\n", t->stages[i].name, t->stages[i].ms);
}
