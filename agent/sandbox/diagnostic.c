/* SPDX-License-Identifier: Apache-2.0 */
/* See diagnostic.h. Called by agent/rpc/rpc_diagnostic.c. Must never follow a symbolic link: the
 * container may have written it. */
#include "agent/sandbox/diagnostic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/container/spec/retain.h"
#include "agent/sandbox/sandbox_internal.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"

#define REPLACEMENT "\xef\xbf\xbd"

static void termination_text(const char *bytes, size_t n, char *text);

int
sandbox_termination_path(struct sandbox *s, const char *id, char **path, struct error *err)
{
	const struct container *c = sandbox_find(s, id);
	const Grpc__Mount *mount;
	struct arena arena;
	const Grpc__Spec *spec;
	int result = -1;

	if (!c)
		return error_no_container(err, id);
	arena_init(&arena, SPEC_ARENA_MAX);
	spec = spec_retain_unpack(c->kept, c->kept_size, &arena, err);
	mount = spec ? spec_retain_termination(spec) : NULL;
	if (spec && !mount)
		error_set(err, ERROR_NOT_FOUND,
			  "container %s has no mount for its " KEPT_TERMINATION, id);
	if (mount) {
		*path = strdup(mount->source);
		result = *path ? 0 : error_nomem(err, "searching for a termination message");
	}
	arena_release(&arena);
	return result;
}

int
termination_read(int root, const char *path, char text[static TERMINATION_TEXT_MAX],
		 struct error *err)
{
	/* O_NONBLOCK: the path may be a FIFO without a writer. */
	auto_close int fd = path_try_open(root, path, O_RDONLY | O_NONBLOCK, 0, PATH_FOLLOW_NONE);
	char bytes[TERMINATION_MAX];
	struct stat st;
	ssize_t n;

	*text = '\0';
	if (fd < 0)
		return errno == ENOENT
			       ? 0
			       : error_sys(err, "failed to open termination message %s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "termination message %s is not a regular file", path);
	n = read_full(fd, bytes, sizeof(bytes));
	if (n < 0)
		return error_sys(err, "failed to read termination message %s", path);
	termination_text(bytes, (size_t)n, text);
	return 0;
}

/* Returns the length in bytes of the UTF-8 character at s, with n bytes left; 0 if it is
 * invalid. */
static size_t
termination_char_length(const char *s, size_t n)
{
	for (size_t len = 1; len <= 4 && len <= n; len++) {
		if (utf8_is_valid(s, len))
			return len;
	}
	return 0;
}

/* Copies `bytes` to `text`, replacing invalid bytes. NUL counts as invalid, since it would end the
 * text. */
static void
termination_text(const char *bytes, size_t n, char *text)
{
	for (size_t i = 0; i < n;) {
		size_t len = termination_char_length(bytes + i, n - i);

		if (len > 0) {
			memcpy(text, bytes + i, len);
			text += len;
			i += len;
		} else {
			memcpy(text, REPLACEMENT, strlen(REPLACEMENT));
			text += strlen(REPLACEMENT);
			i++;
		}
	}
	*text = '\0';
}
