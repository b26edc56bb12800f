/* SPDX-License-Identifier: Apache-2.0 */
/* Users and groups of an image. */
#include "ctl/image/account.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

/* Fields of a line of /etc/passwd that matter, and those of /etc/group. */
enum {
	FIELD_NAME = 0,
	FIELD_ID = 2,
	FIELD_GID = 3,
	FIELD_MEMBERS = 3,
	FIELDS = 4,
};

/* A line, cut into fields. */
struct account_line {
	char text[4096];
	const char *field[FIELDS];
};

/* Reads the next line with enough fields. Returns false at the end. Lines that are too long are
 * left out. */
static bool
account_next(const char **at, struct account_line *line)
{
	while (**at) {
		size_t n = strcspn(*at, "\n");
		const char *begin = *at;
		char *rest = line->text;
		int i = 0;

		*at += n + ((*at)[n] == '\n');
		if (n >= sizeof(line->text))
			continue;
		memcpy(line->text, begin, n);
		line->text[n] = '\0';
		for (; i < FIELDS && rest; i++)
			line->field[i] = strsep(&rest, ":");
		if (i == FIELDS)
			return true;
	}
	return false;
}

/* Finds the line of a name or, if `name` is NULL, of a number. */
static bool
account_search(const char *file, const char *name, uint32_t id, struct account_line *line)
{
	while (account_next(&file, line)) {
		uint32_t found;

		if (name ? strcmp(line->field[FIELD_NAME], name) == 0
			 : parse_u32(line->field[FIELD_ID], &found) && found == id)
			return true;
	}
	return false;
}

/* Returns whether a list "a,b,c" has this name. */
static bool
account_has_member(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
		if (strcspn(at, ",") == len && strncmp(at, name, len) == 0)
			return true;
	return false;
}

static void
account_add_groups(const char *file, const char *name, struct account *out)
{
	struct account_line line;

	while (out->n_groups < ACCOUNT_GROUPS_MAX && account_next(&file, &line)) {
		uint32_t gid;

		if (account_has_member(line.field[FIELD_MEMBERS], name) &&
		    parse_u32(line.field[FIELD_ID], &gid) && gid != out->gid)
			out->groups[out->n_groups++] = gid;
	}
}

int
account_find(const char *text, const char *passwd, const char *group, struct account *out,
	     struct error *err)
{
	char user[256], name[256] = "";
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	struct account_line line;
	bool is_number;

	*out = (struct account){ 0 };
	if (n >= sizeof(user) || (colon && !colon[1]))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid user \"%.64s\"", text);
	memcpy(user, text, n);
	user[n] = '\0';
	is_number = n == 0 || parse_u32(user, &out->uid);
	if (account_search(passwd, is_number ? NULL : user, out->uid, &line)) {
		(void)snprintf(name, sizeof(name), "%s", line.field[FIELD_NAME]);
		if (!parse_u32(line.field[FIELD_ID], &out->uid) ||
		    !parse_u32(line.field[FIELD_GID], &out->gid))
			return error_set(err, ERROR_NOT_FOUND,
					 "invalid line of user %s in /etc/passwd of the image",
					 user);
	} else if (!is_number) {
		return error_set(err, ERROR_NOT_FOUND, "no user %s in /etc/passwd of the image",
				 user);
	}
	if (!colon) {
		if (name[0])
			account_add_groups(group, name, out);
		return 0;
	}
	if (parse_u32(colon + 1, &out->gid))
		return 0;
	if (!account_search(group, colon + 1, 0, &line) ||
	    !parse_u32(line.field[FIELD_ID], &out->gid))
		return error_set(err, ERROR_NOT_FOUND, "no group %s in /etc/group of the image",
				 colon + 1);
	return 0;
}
