/* SPDX-License-Identifier: Apache-2.0 */
/* The text format of metrics, and the order of the groups. */
#include "agent/guest/metrics.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/guest/metrics_text.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

/* The most text of one group. */
#define TEXT_MAX (4u << 20)

static int metrics_flush(struct metrics *m, metrics_sink_fn *sink, void *data, struct error *err);
static void metrics_put_sample(struct metrics *m, const char *value,
			       const struct metric_label *labels, size_t n);

int
metrics_write(const struct roots *roots, const struct metrics_agent *agent, metrics_sink_fn *sink,
	      void *data, struct error *err)
{
	static void (*const groups[])(struct metrics *) = {
		metrics_of_agent,    metrics_of_guest,   metrics_of_memory,      metrics_of_devices,
		metrics_of_pressure, metrics_of_cgroups, metrics_of_filesystems,
	};
	auto_free char *source = malloc(METRICS_SOURCE_MAX);
	struct metrics m = { .roots = roots, .agent = agent, .source = source };
	int result = 0;

	if (!source)
		return error_nomem(err, "reading the metrics");
	buf_init(&m.out, TEXT_MAX);
	for (size_t i = 0; result == 0 && i < ARRAY_LEN(groups); i++) {
		groups[i](&m);
		result = metrics_flush(&m, sink, data, err);
	}
	buf_release(&m.out);
	return result;
}

static int
metrics_flush(struct metrics *m, metrics_sink_fn *sink, void *data, struct error *err)
{
	if (m->failed)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "the metrics are longer than %u bytes", TEXT_MAX);
	if (buf_len(&m->out) > 0 && sink(data, buf_head(&m->out), buf_len(&m->out), err) < 0)
		return -1;
	buf_consume(&m->out, buf_len(&m->out));
	return 0;
}

/* ---- writing ---- */

static void
metrics_put(struct metrics *m, const char *text, size_t n)
{
	if (buf_append(&m->out, text, n) < 0)
		m->failed = true;
}

static void
metrics_put_string(struct metrics *m, const char *text)
{
	metrics_put(m, text, strlen(text));
}

void
metric_family(struct metrics *m, const char *name, const char *type, const char *help)
{
	m->family = name;
	m->type = type;
	m->help = help;
	m->has_samples = false;
}

void
metric_sample(struct metrics *m, uint64_t value, const struct metric_label *labels, size_t n)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	metrics_put_sample(m, text, labels, n);
}

void
metric_decimal(struct metrics *m, const char *value, const struct metric_label *labels, size_t n)
{
	size_t whole = strspn(value, "0123456789");
	const char *rest = value + whole;

	if (whole == 0 || (*rest && *rest != '.'))
		return;
	if (*rest == '.' && (!rest[1] || rest[1 + strspn(rest + 1, "0123456789")]))
		return;
	metrics_put_sample(m, value, labels, n);
}

void
metric_item(struct metrics *m, const char *item, uint64_t value)
{
	metric_sample(m, value, METRIC_LABELS({ "item", item }), 1);
}

void
metric_item2(struct metrics *m, const char *name, const char *value, const char *item,
	     uint64_t number)
{
	metric_sample(m, number, METRIC_LABELS({ name, value }, { "item", item }), 2);
}

/* Writes a label's value with escapes. Names of disks and mount points may hold any bytes, but the
 * reply is UTF-8. */
static void
metrics_put_value(struct metrics *m, const char *value)
{
	bool is_text = utf8_is_valid(value, strlen(value));

	for (const char *c = value; *c; c++) {
		if (*c == '\\' || *c == '"')
			metrics_put(m, "\\", 1);
		if (*c == '\n')
			metrics_put(m, "\\n", 2);
		else if ((unsigned char)*c < 0x80 || is_text)
			metrics_put(m, c, 1);
		else
			metrics_put(m, "?", 1);
	}
}

static void
metrics_put_sample(struct metrics *m, const char *value, const struct metric_label *labels,
		   size_t n)
{
	if (!m->has_samples) {
		m->has_samples = true;
		metrics_put_string(m, "# HELP ");
		metrics_put_string(m, m->family);
		metrics_put_string(m, " ");
		metrics_put_string(m, m->help);
		metrics_put_string(m, "\n# TYPE ");
		metrics_put_string(m, m->family);
		metrics_put_string(m, " ");
		metrics_put_string(m, m->type);
		metrics_put_string(m, "\n");
	}
	metrics_put_string(m, m->family);
	for (size_t i = 0; i < n; i++) {
		metrics_put_string(m, i == 0 ? "{" : ",");
		metrics_put_string(m, labels[i].name);
		metrics_put_string(m, "=\"");
		metrics_put_value(m, labels[i].value);
		metrics_put_string(m, i + 1 == n ? "\"}" : "\"");
	}
	metrics_put_string(m, " ");
	metrics_put_string(m, value);
	metrics_put_string(m, "\n");
}

/* ---- reading ---- */

char *
metrics_read(struct metrics *m, int dirfd, const char *path)
{
	ssize_t n = dirfd < 0 ? -1 : read_text_at(dirfd, path, m->source, METRICS_SOURCE_MAX);
	char *end;

	if (n < 0)
		return NULL;
	if ((size_t)n >= METRICS_SOURCE_MAX - 2) {
		end = strrchr(m->source, '\n');
		*(end ? end : m->source) = '\0';
	}
	return m->source;
}

bool
metrics_next_pair(char **rest, char **key, uint64_t *value)
{
	char *line, *blank;

	while ((line = strsep(rest, "\n")) != NULL) {
		blank = strchr(line, ' ');
		if (!blank)
			continue;
		*blank = '\0';
		*key = line;
		if (*line && parse_u64(blank + 1, value))
			return true;
	}
	return false;
}

void
metrics_snake(const char *key, char *out, size_t size)
{
	size_t n = 0;

	for (const char *c = key; *c && n + 2 < size; c++) {
		unsigned char this = (unsigned char)*c;
		bool begins = isupper(this) && c > key &&
			      (islower((unsigned char)c[-1]) || islower((unsigned char)c[1]));

		if (!isalnum(this)) {
			if (n > 0 && out[n - 1] != '_' && c[1] && c[1] != ')')
				out[n++] = '_';
			continue;
		}
		if (begins && n > 0 && out[n - 1] != '_')
			out[n++] = '_';
		out[n++] = (char)tolower(this);
	}
	out[n] = '\0';
}
