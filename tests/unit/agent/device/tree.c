/* SPDX-License-Identifier: Apache-2.0 */
/* A fake /sys and /dev. */
#include "tests/unit/agent/device/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
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
	*t = (struct tree){ .dir = "/tmp/test-device-XXXXXX", .roots = { -1, -1, -1, -1, -1, -1 } };
	REQUIRE(mkdtemp(t->dir));
	t->roots.sys = open_dir(t, "sys");
	t->roots.dev = open_dir(t, "dev");
}

void
tree_remove(struct tree *t)
{
	struct error err = ERROR_INIT;

	close_fd(&t->roots.sys);
	close_fd(&t->roots.dev);
	REQUIRE_OK(path_remove_tree(AT_FDCWD, t->dir, &err), &err);
}

void
tree_dir(const struct tree *t, const char *path)
{
	char prefix[512];

	for (size_t i = 1; i <= strlen(path); i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		(void)snprintf(prefix, sizeof(prefix), "%.*s", (int)i, path);
		(void)mkdirat(t->roots.sys, prefix, 0755);
	}
	REQUIRE_EQ(faccessat(t->roots.sys, path, F_OK, 0), 0, "%s", path);
}

/* Makes the directory that a path is in. */
static void
make_parent(const struct tree *t, const char *path)
{
	char parent[512];

	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	tree_dir(t, parent);
}

void
tree_file(const struct tree *t, const char *path, const char *text)
{
	int fd;

	make_parent(t, path);
	fd = openat(t->roots.sys, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0, "%s", path);
	REQUIRE_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	REQUIRE_EQ(close(fd), 0);
}

void
tree_link(const struct tree *t, const char *path, const char *target)
{
	make_parent(t, path);
	REQUIRE_EQ(symlinkat(target, t->roots.sys, path), 0, "%s", path);
}
