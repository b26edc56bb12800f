/* SPDX-License-Identifier: Apache-2.0 */
/* A fake guest. */
#include "tests/unit/agent/guest/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/support/check.h"

static int
open_dir(const struct tree *t, const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	REQUIRE_EQ(mkdir(path, 0755), 0);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	return fd;
}

void
tree_make(struct tree *t)
{
	*t = (struct tree){ .dir = "/tmp/test-guest-XXXXXX" };
	REQUIRE(mkdtemp(t->dir));
	t->roots = (struct roots){
		.proc = open_dir(t, "proc"),
		.sys = open_dir(t, "sys"),
		.dev = open_dir(t, "dev"),
		.cgroup = open_dir(t, "cgroup"),
		.run = open_dir(t, "run"),
		.root = open_dir(t, "root"),
	};
}

void
tree_remove(struct tree *t)
{
	struct error err = ERROR_INIT;

	roots_close(&t->roots);
	REQUIRE_OK(path_remove_tree(AT_FDCWD, t->dir, &err), &err);
}

void
tree_put(int root, const char *path, const char *text)
{
	char prefix[512];
	auto_close int fd = -1;

	for (size_t i = 1; path[i]; i++) {
		if (path[i] != '/')
			continue;
		(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)i, path);
		(void)mkdirat(root, prefix, 0755);
	}
	fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE_GE(fd, 0, "%s", path);
	REQUIRE_EQ(write_full(fd, text, strlen(text)), 0);
}

void
tree_get(int root, const char *path, char *text, size_t size)
{
	if (read_text_at(root, path, text, size) < 0)
		text[0] = '\0';
}
