/* SPDX-License-Identifier: Apache-2.0 */
/* Writing several files of a cgroup, with restoration after a failure. */
#include "agent/cgroup/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* The size of a saved file. The longest is io.max, with a line per disk. */
#define FORMER_MAX 16384

static int settings_save_former(struct cgroup_setting *set, int fd, struct error *err);
static int settings_write_error(const struct cgroup_setting *set, struct error *err);
static void settings_restore(const struct cgroup_setting *set, int fd);

int
settings_add(struct cgroup_settings *s, enum setting_kind kind, const char *field, const char *file,
	     struct error *err, const char *fmt, ...)
{
	struct cgroup_setting *list = realloc(s->list, (s->n + 1) * sizeof(*list));
	struct cgroup_setting *new;
	va_list ap;
	int n;

	if (!list)
		return error_nomem(err, "collecting limits");
	s->list = list;
	new = &list[s->n];
	*new = (struct cgroup_setting){ .field = field, .optional = kind == SETTING_LOOSENS };
	if (strlen(file) >= sizeof(new->file))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: file name too long", field);
	memcpy(new->file, file, strlen(file) + 1);
	va_start(ap, fmt);
	n = vasprintf(&new->value, fmt, ap);
	va_end(ap);
	if (n < 0)
		return error_nomem(err, "collecting limits");
	s->n++;
	return 0;
}

int
settings_apply(struct cgroup_settings *s, int fd, bool keep, struct error *err)
{
	for (size_t i = 0; keep && i < s->n; i++) {
		if (settings_save_former(&s->list[i], fd, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct cgroup_setting *set = &s->list[i];

		if (write_text_at(fd, set->file, set->value) == 0 ||
		    (errno == ENOENT && set->optional))
			continue;
		settings_write_error(set, err);
		for (size_t j = i; keep && j > 0; j--)
			settings_restore(&s->list[j - 1], fd);
		return -1;
	}
	return 0;
}

static int
settings_save_former(struct cgroup_setting *set, int fd, struct error *err)
{
	auto_free char *text = malloc(FORMER_MAX);
	char file[CGROUP_FILE_MAX + 16];

	if (!text)
		return error_nomem(err, "saving limits");
	/* a file that does not exist or cannot be read is not restored either */
	if (read_text_at(fd, set->file, text, FORMER_MAX) < 0)
		return 0;
	/* a cpuset with processes cannot be set to "" again (validate_change() in Linux): restore
	 * the effective one */
	if (strncmp(set->file, "cpuset.", 7) == 0 && !*text) {
		(void)snprintf(file, sizeof(file), "%s.effective", set->file);
		if (read_text_at(fd, file, text, FORMER_MAX) < 0)
			return 0;
	}
	set->former = strdup(text);
	return set->former ? 0 : error_nomem(err, "saving limits");
}

static int
settings_write_error(const struct cgroup_setting *set, struct error *err)
{
	enum error_code code = ERROR_INTERNAL;

	if (errno == ENOENT)
		return error_sys_code(
			err, ERROR_FAILED_PRECONDITION,
			"%s: failed to set %s to %s: containers have no %.*s controller",
			set->field, set->file, set->value, (int)strcspn(set->file, "."), set->file);
	if (errno == EINVAL || errno == ERANGE || errno == ENODEV || errno == E2BIG)
		code = ERROR_INVALID_ARGUMENT;
	return error_sys_code(err, code, "%s: failed to set %s to %s", set->field, set->file,
			      set->value);
}

/* Restores a file. In a file with a line per device, restores the line of one device; if there was
 * none, writes the line that removes it. */
static void
settings_restore(const struct cgroup_setting *set, int fd)
{
	size_t n = strcspn(set->value, " ");
	char line[512];
	const char *p;

	if (!set->former)
		return;
	if (strncmp(set->file, "io.", 3) != 0) {
		(void)write_text_at(fd, set->file, *set->former ? set->former : "\n");
		return;
	}
	for (p = set->former; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, set->value, n) == 0 && p[n] == ' ')
			break;
	}
	if (p)
		(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n"), p);
	else
		(void)snprintf(line, sizeof(line), "%.*s %s", (int)n, set->value,
			       strcmp(set->file, "io.max") == 0
				       ? "rbps=max wbps=max riops=max wiops=max"
				       : "default");
	(void)write_text_at(fd, set->file, line);
}

void
settings_release(struct cgroup_settings *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->list[i].value);
		free(s->list[i].former);
	}
	free(s->list);
	*s = (struct cgroup_settings){ 0 };
}
