/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the kernel modules that the image lists. Called once by init before the agent starts. The
 * image is trusted, but the list may be malformed. A module that fails does not stop the others.
 */
#include "init/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/modtree.h"
#include "lib/sys.h"

#define LINE_SIZE 1024

static void modules_parse_line(unsigned int number, char *line, modules_fn *fn, void *data);
static void modules_load_one(unsigned int line, const char *path, const char *params, void *data);

int
modules_parse(int fd, modules_fn *fn, void *data)
{
	char line[LINE_SIZE], chunk[512];
	size_t len = 0;
	unsigned int number = 1;
	ssize_t n;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++) {
			if (chunk[i] != '\n') {
				/* A NUL would hide the rest of the line; len is the real length. */
				if (len < sizeof(line) - 1)
					line[len] = chunk[i] ? chunk[i] : '?';
				len += len < sizeof(line);
				continue;
			}
			line[len < sizeof(line) ? len : sizeof(line) - 1] = '\0';
			if (len < sizeof(line))
				modules_parse_line(number, line, fn, data);
			else
				log_warn("modules", "invalid line %u: too long", number);
			len = 0;
			number++;
		}
	}
	line[len < sizeof(line) ? len : sizeof(line) - 1] = '\0';
	if (n == 0 && len > 0 && len < sizeof(line))
		modules_parse_line(number, line, fn, data);
	return n < 0 ? -1 : 0;
}

/* Splits a line in place and passes it to the callback. */
static void
modules_parse_line(unsigned int number, char *line, modules_fn *fn, void *data)
{
	char *path = line + strspn(line, " \t\r"), *params, *end;

	if (*path == '\0' || *path == '#')
		return;
	if (*path != '/') {
		log_warn("modules", "invalid line %u: not an absolute path: %.80s", number, path);
		return;
	}
	params = path + strcspn(path, " \t\r");
	if (*params)
		*params++ = '\0';
	params += strspn(params, " \t\r");
	end = params + strlen(params);
	while (end > params && strchr(" \t\r", end[-1]))
		*--end = '\0';
	fn(number, path, params, data);
}

struct load_count {
	unsigned int loaded, failed;
};

unsigned int
modules_load(const char *path, unsigned int *failed)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct load_count count = { 0 };

	*failed = 0;
	if (fd < 0) {
		if (errno != ENOENT) {
			log_warn("modules", "failed to open %s: %s", path, strerror(errno));
			*failed = 1;
		}
		return 0;
	}
	if (modules_parse(fd, modules_load_one, &count) < 0) {
		log_warn("modules", "failed to read %s: %s", path, strerror(errno));
		count.failed++;
	}
	*failed = count.failed;
	return count.loaded;
}

static void
modules_load_one(unsigned int line, const char *path, const char *params, void *data)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct load_count *count = data;
	int flags = modtree_flags(path);

	(void)line;
	if (fd < 0) {
		log_warn("modules", "failed to open %s: %s", path, strerror(errno));
		count->failed++;
		return;
	}
	if (sys_finit_module(fd, params, flags) == 0) {
		count->loaded++;
		return;
	}
	/* Already loaded, or built in. */
	if (errno == EEXIST)
		return;
	count->failed++;
	log_warn("modules", "failed to load %s: %s%s", path, strerror(errno),
		 flags && (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOEXEC)
			 ? " (this kernel may not support compressed modules of this kind)"
			 : "");
}
