/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON documents, also those with integers of 64 bits without a sign. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/json/json.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define DOCUMENT_MAX (16u << 20)

/* Digits that always fit into a json_int_t. */
#define DIGITS_SURE 18

static const char digits[] = "0123456789";

/* Copies the text, with long integers put into quotes. `out` has room for twice the text. Returns
 * the length. */
static size_t
json_quote_integers(const char *text, size_t n, char *out)
{
	bool is_string = false;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t begin = i, end = i + (text[i] == '-');
		bool is_long;

		while (!is_string && end < n && strchr(digits, text[end]) && text[end])
			end++;
		if (is_string || end == begin || end == begin + (text[begin] == '-')) {
			if (text[i] == '"')
				is_string = !is_string;
			out[used++] = text[i];
			/* An escaped character ends no string. */
			if (is_string && text[i] == '\\' && i + 1 < n)
				out[used++] = text[++i];
			continue;
		}
		is_long = end - begin > DIGITS_SURE && text[begin] != '0' &&
			  (end == n || !text[end] || !strchr(".eE", text[end]));
		if (is_long)
			out[used++] = '"';
		memcpy(out + used, text + begin, end - begin);
		used += end - begin;
		if (is_long)
			out[used++] = '"';
		/* The fraction and exponent are no integers of their own. */
		while (!is_long && end < n && text[end] && strchr("0123456789.eE+-", text[end]))
			out[used++] = text[end++];
		i = end - 1;
	}
	return used;
}

json_t *
json_parse(const char *text, size_t n, struct error *err)
{
	auto_free char *copy = malloc(2 * n + 1);
	json_error_t why;
	json_t *json;

	if (!copy) {
		error_nomem(err, "reading JSON");
		return NULL;
	}
	json = json_loadb(copy, json_quote_integers(text, n, copy), JSON_REJECT_DUPLICATES, &why);
	if (!json)
		error_set(err, ERROR_INVALID_ARGUMENT, "line %d, column %d: %s", why.line,
			  why.column, why.text);
	return json;
}

json_t *
json_read_file(const char *path, struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	auto_close int opened = is_stdin ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	int fd = is_stdin ? STDIN_FILENO : opened;
	const char *name = is_stdin ? "standard input" : path;
	auto_free char *text = NULL;
	size_t n = 0, size = 0;
	json_t *json;

	if (fd < 0) {
		error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to open %s", path);
		return NULL;
	}
	/* Not by fstat(2): a pipe has no size. */
	for (;;) {
		char *more;
		ssize_t got;

		if (n >= DOCUMENT_MAX) {
			error_set(err, ERROR_INVALID_ARGUMENT, "%s: larger than %u MiB", name,
				  DOCUMENT_MAX >> 20);
			return NULL;
		}
		size = size ? 2 * size : 64u << 10;
		more = realloc(text, size);
		if (!more) {
			error_nomem(err, "reading JSON");
			return NULL;
		}
		text = more;
		got = read_full(fd, text + n, size - n);
		if (got < 0) {
			error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to read %s", name);
			return NULL;
		}
		n += (size_t)got;
		if (n < size)
			break;
	}
	json = json_parse(text, n, err);
	if (!json)
		error_wrap(err, "%s", name);
	return json;
}
