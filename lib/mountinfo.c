/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mountinfo.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define MOUNTINFO_MAX (4u << 20)

static bool mountinfo_take_number(char **at, int *out);
static bool is_octal(const char *s);

char *
mountinfo_read(int dirfd, const char *path, struct error *err)
{
	auto_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	auto_free char *text = malloc(MOUNTINFO_MAX + 1);
	ssize_t n;

	if (!text) {
		error_nomem(err, "reading the list of mounts");
		return NULL;
	}
	n = fd < 0 ? -1 : read_full(fd, text, MOUNTINFO_MAX);
	if (n < 0) {
		error_sys(err, "failed to read %s", path);
		return NULL;
	}
	text[n] = '\0';
	return steal_ptr(&text);
}

bool
mountinfo_parse(char *line, struct mountinfo *out)
{
	char *field = line, *to, *from;

	if (!mountinfo_take_number(&field, &out->id) ||
	    !mountinfo_take_number(&field, &out->parent))
		return false;
	/* Skip device and root. */
	for (int i = 0; i < 2; i++) {
		field = strchr(field, ' ');
		if (!field)
			return false;
		field++;
	}
	out->point = to = field;
	for (from = field; *from && *from != ' '; from++) {
		if (from[0] == '\\' && is_octal(from + 1)) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	/* " - " ends the optional fields. */
	out->type = strstr(from, " - ");
	out->type = out->type ? out->type + 3 : from + strlen(from);
	out->type[strcspn(out->type, " ")] = '\0';
	*to = '\0';
	return true;
}

/* Parses the number at *at, up to a space, and advances *at to the next field. */
static bool
mountinfo_take_number(char **at, int *out)
{
	size_t n = strcspn(*at, " ");
	char text[16];
	uint32_t v;

	if (n >= sizeof(text) || (*at)[n] != ' ')
		return false;
	memcpy(text, *at, n);
	text[n] = '\0';
	if (!parse_u32(text, &v) || v > INT32_MAX)
		return false;
	*out = (int)v;
	*at += n + 1;
	return true;
}

static bool
is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}
