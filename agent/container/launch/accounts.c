/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of passwd(5) and group(5) (accounts.h). Called by user.c. Never follows a path out of
 * the root. */
#include "agent/container/launch/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"

#define FIELDS_MAX 7
/* Number of digits of UINT32_MAX. */
#define NUMBER_MAX 10
#define FIELD_NAME 0
/* The uid, or a group's gid. */
#define FIELD_ID     2
#define FIELD_GID    3
#define FIELD_MEMBER 3
#define FIELD_HOME   5

/* A part of the text. */
struct span {
	const char *at;
	size_t n;
};

struct line {
	struct span field[FIELDS_MAX];
	size_t n;
};

/* Opens a regular file; other types of files are refused. Returns an fd, or -1 and err. */
static int
accounts_open_regular(int root_fd, const char *path, int flags, struct error *err)
{
	auto_close int fd = path_try_open(root_fd, path, flags, 0, PATH_FOLLOW_ALL);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to open /%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "/%s is not a regular file", path);
	return steal_fd(&fd);
}

int
accounts_read(int root_fd, const char *path, struct accounts *out, struct error *err)
{
	auto_close int seen = -1;
	auto_close int fd = -1;
	ssize_t n;

	*out = (struct accounts){ .text = NULL };
	/* The type is checked before the open, which could have effects on a device. O_NONBLOCK
	 * is for a file that is replaced with a FIFO in between. */
	seen = accounts_open_regular(root_fd, path, O_PATH, err);
	if (seen < 0)
		return -1;
	fd = accounts_open_regular(root_fd, path, O_RDONLY | O_NONBLOCK, err);
	if (fd < 0)
		return -1;
	out->text = malloc(ACCOUNTS_MAX + 1);
	if (!out->text)
		return error_nomem(err, "reading the container's accounts");
	n = read_full(fd, out->text, ACCOUNTS_MAX + 1);
	if (n < 0) {
		accounts_release(out);
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to read /%s", path);
	}
	out->cut = n > (ssize_t)ACCOUNTS_MAX;
	out->n = out->cut ? ACCOUNTS_MAX : (size_t)n;
	return 0;
}

void
accounts_release(struct accounts *a)
{
	free(a->text);
	a->text = NULL;
	a->n = 0;
}

/* Splits a line at its colons. The last field keeps the rest. */
static void
accounts_split(const char *at, size_t n, struct line *out)
{
	out->n = 0;
	for (;;) {
		const char *colon = out->n + 1 < FIELDS_MAX ? memchr(at, ':', n) : NULL;
		size_t len = colon ? (size_t)(colon - at) : n;

		out->field[out->n++] = (struct span){ at, len };
		if (!colon)
			return;
		at += len + 1;
		n -= len + 1;
	}
}

/* Parses the next line without a NUL from *pos on. Returns false at the end. */
static bool
accounts_next_line(const struct accounts *a, size_t *pos, struct line *out)
{
	while (*pos < a->n) {
		const char *at = a->text + *pos;
		const char *stop = memchr(at, '\n', a->n - *pos);
		size_t n = stop ? (size_t)(stop - at) : a->n - *pos;

		/* The last line of a truncated text is incomplete. */
		if (!stop && a->cut)
			return false;
		*pos += n + 1;
		if (memchr(at, '\0', n))
			continue;
		accounts_split(at, n, out);
		return true;
	}
	return false;
}

static bool
accounts_span_is(struct span s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.at, text, s.n) == 0;
}

static bool
accounts_span_number(struct span s, uint32_t *out)
{
	char digits[NUMBER_MAX + 1];
	uint32_t value;

	if (s.n > NUMBER_MAX)
		return false;
	memcpy(digits, s.at, s.n);
	digits[s.n] = '\0';
	/* setresuid(2) takes the largest value as "unchanged". */
	if (!parse_u32(digits, &value) || value == UINT32_MAX)
		return false;
	*out = value;
	return true;
}

/* Converts a line to an account. Returns false if it is malformed. */
static bool
accounts_take(const struct line *l, struct account *out)
{
	struct span home;

	if (l->n <= FIELD_HOME || !l->field[FIELD_NAME].n ||
	    !accounts_span_number(l->field[FIELD_ID], &out->uid) ||
	    !accounts_span_number(l->field[FIELD_GID], &out->gid))
		return false;
	home = l->field[FIELD_HOME];
	if (!home.n || home.at[0] != '/' || home.n >= sizeof(out->home))
		home.n = 0;
	memcpy(out->home, home.at, home.n);
	out->home[home.n] = '\0';
	return true;
}

bool
accounts_by_name(const struct accounts *passwd, const char *name, struct account *out)
{
	struct line l;

	for (size_t pos = 0; accounts_next_line(passwd, &pos, &l);) {
		if (accounts_span_is(l.field[FIELD_NAME], name) && accounts_take(&l, out))
			return true;
	}
	return false;
}

bool
accounts_by_uid(const struct accounts *passwd, uint32_t uid, struct account *out)
{
	struct line l;

	for (size_t pos = 0; accounts_next_line(passwd, &pos, &l);) {
		if (accounts_take(&l, out) && out->uid == uid)
			return true;
	}
	return false;
}

bool
accounts_group(const struct accounts *group, const char *name, uint32_t *gid)
{
	struct line l;

	for (size_t pos = 0; accounts_next_line(group, &pos, &l);) {
		if (l.n > FIELD_ID && *name && accounts_span_is(l.field[FIELD_NAME], name) &&
		    accounts_span_number(l.field[FIELD_ID], gid))
			return true;
	}
	return false;
}

/* Returns whether a list "a,b,c" has the name. */
static bool
accounts_is_member(struct span list, const char *name)
{
	while (list.n) {
		const char *comma = memchr(list.at, ',', list.n);
		size_t n = comma ? (size_t)(comma - list.at) : list.n;

		if (n && accounts_span_is((struct span){ list.at, n }, name))
			return true;
		if (!comma)
			return false;
		list.at += n + 1;
		list.n -= n + 1;
	}
	return false;
}

size_t
accounts_groups_of(const struct accounts *group, const char *name, uint32_t *gids, size_t size)
{
	struct line l;
	size_t n = 0;

	for (size_t pos = 0; accounts_next_line(group, &pos, &l);) {
		uint32_t gid;

		if (l.n <= FIELD_MEMBER || !accounts_span_number(l.field[FIELD_ID], &gid) ||
		    !accounts_is_member(l.field[FIELD_MEMBER], name))
			continue;
		if (n < size)
			gids[n] = gid;
		n++;
	}
	return n;
}
