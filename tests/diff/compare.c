/* SPDX-License-Identifier: Apache-2.0 */
/* See compare.h. */
#include "tests/diff/compare.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

#define ROWS_MAX  256
#define LINES_MAX 4096
#define VALUE_MAX 16384

struct row {
	/* " word ", or NULL */
	char *condition;
	char *key, *agent, *crun;
	unsigned int line, used;
};

struct table {
	/* the text that the rows point into */
	char *text;
	const char *conditions;
	struct row rows[ROWS_MAX];
	size_t n;
};

static char *
trim(char *s)
{
	size_t n;

	s += strspn(s, " \t");
	n = strlen(s);
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		s[--n] = '\0';
	return s;
}

/* Converts the condition of "if=word key" to the form of table_set_conditions(). */
static void
take_condition(struct row *r)
{
	char *end = strchr(r->key, ' ');

	if (strncmp(r->key, "if=", 3) != 0 || !end)
		return;
	/* In place: "=word " becomes " word ". */
	r->condition = r->key + 2;
	r->condition[0] = ' ';
	r->key = strdup(trim(end + 1));
	end[1] = '\0';
}

/* Parses "key | agent | crun | reason". */
static bool
add_row(struct table *t, char *line, unsigned int number)
{
	char *fields[4];
	size_t n = 0;

	line = trim(line);
	if (!*line || *line == '#')
		return true;
	/* A separator has blanks around it; a bar inside a pattern has none. */
	for (char *bar; line && n < ARRAY_LEN(fields); line = bar) {
		bar = n + 1 < ARRAY_LEN(fields) ? strstr(line, " | ") : NULL;
		if (bar) {
			*bar = '\0';
			bar += 3;
		}
		fields[n++] = trim(line);
	}
	if (n < ARRAY_LEN(fields) || !*fields[3] || t->n == ROWS_MAX) {
		(void)fprintf(stderr, "diff: explained.txt:%u: not a row with a reason\n", number);
		return false;
	}
	t->rows[t->n] = (struct row){ NULL, fields[0], fields[1], fields[2], number, 0 };
	take_condition(&t->rows[t->n++]);
	return true;
}

struct table *
table_read(const char *path)
{
	struct table *t = calloc(1, sizeof(*t));
	FILE *f = fopen(path, "re");
	unsigned int number = 0;
	size_t size = 0;
	char *rest;

	if (!t || !f || getdelim(&t->text, &size, '\0', f) < 0) {
		(void)fprintf(stderr, "diff: %s: %s\n", path, strerror(errno));
		exit(125);
	}
	(void)fclose(f);
	for (rest = t->text; rest;) {
		char *line = strsep(&rest, "\n");

		if (!add_row(t, line, ++number)) {
			table_free(t);
			return NULL;
		}
	}
	return t;
}

void
table_free(struct table *t)
{
	for (size_t i = 0; t && i < t->n; i++)
		if (t->rows[i].condition)
			free(t->rows[i].key);
	if (t)
		free(t->text);
	free(t);
}

unsigned int
table_n_used(const struct table *t)
{
	unsigned int n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->rows[i].used > 0;
	return n;
}

unsigned int
table_print_unused(const struct table *t)
{
	unsigned int n = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (t->rows[i].used)
			continue;
		printf("# explained.txt:%u is unused: %s\n", t->rows[i].line, t->rows[i].key);
		n++;
	}
	return n;
}

void
table_set_conditions(struct table *t, const char *words)
{
	t->conditions = words;
}

bool
table_explains(struct table *t, const struct difference *d)
{
	for (size_t i = 0; i < t->n; i++) {
		struct row *r = &t->rows[i];

		if (r->condition && !strstr(t->conditions, r->condition))
			continue;
		if (fnmatch(r->key, d->key, FNM_EXTMATCH) == 0 &&
		    fnmatch(r->agent, d->agent, FNM_EXTMATCH) == 0 &&
		    fnmatch(r->crun, d->crun, FNM_EXTMATCH) == 0) {
			r->used++;
			return true;
		}
	}
	return false;
}

/* ---- outputs ---- */

struct line {
	char *key, *value;
	/* Lines with the same key keep their order. */
	size_t place;
};

static int
by_key(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r ? r : x->place < y->place ? -1 : 1;
}

/* Splits an output into its lines, sorted by key. */
static size_t
take_apart(char *text, struct line *lines)
{
	size_t n = 0;

	while (text && n < LINES_MAX) {
		char *line = strsep(&text, "\n"), *tab = strchr(line, '\t');

		if (!tab)
			continue;
		*tab = '\0';
		lines[n] = (struct line){ line, tab + 1, n };
		n++;
	}
	qsort(lines, n, sizeof(*lines), by_key);
	return n;
}

/* Joins all values of the key of lines[*at] with ", " and advances *at to the next key. */
static void
gather(const struct line *lines, size_t n, size_t *at, char out[VALUE_MAX])
{
	const char *key = lines[*at].key;
	size_t len = 0;

	for (; *at < n && strcmp(lines[*at].key, key) == 0; (*at)++) {
		int w = snprintf(out + len, VALUE_MAX - len, "%s%s", len ? ", " : "",
				 lines[*at].value);

		len = w < 0 || len + (size_t)w >= VALUE_MAX ? VALUE_MAX - 1 : len + (size_t)w;
	}
	/* The key is present without a value. */
	if (!len)
		(void)snprintf(out, VALUE_MAX, "\"\"");
}

unsigned int
compare(struct table *t, char *agent, char *crun, difference_fn *fn, void *data)
{
	static struct line a[LINES_MAX], c[LINES_MAX];
	static char a_value[VALUE_MAX], c_value[VALUE_MAX];
	size_t n_a = take_apart(agent, a), n_c = take_apart(crun, c), i = 0, k = 0;
	unsigned int explained = 0;

	while (i < n_a || k < n_c) {
		int order = i == n_a ? 1 : k == n_c ? -1 : strcmp(a[i].key, c[k].key);
		struct difference d = { order <= 0 ? a[i].key : c[k].key, a_value, c_value };

		(void)snprintf(a_value, sizeof(a_value), "-");
		(void)snprintf(c_value, sizeof(c_value), "-");
		if (order <= 0)
			gather(a, n_a, &i, a_value);
		if (order >= 0)
			gather(c, n_c, &k, c_value);
		if (strcmp(a_value, c_value) == 0)
			continue;
		if (table_explains(t, &d))
			explained++;
		else
			fn(data, &d);
	}
	return explained;
}
