/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/agent/cdi/tree.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"
#include "tests/support/check.h"

void
tree_make(struct tree *t)
{
	*t = (struct tree){ .dir = "/tmp/test-cdi-XXXXXX", .roots = { -1, -1, -1, -1, -1, -1 } };
	REQUIRE(mkdtemp(t->dir));
	t->roots.root = open(t->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(t->roots.root, 0);
	REQUIRE_EQ(mkdirat(t->roots.root, "dev", 0755), 0);
	REQUIRE_EQ(mkdirat(t->roots.root, "run", 0755), 0);
	t->roots.dev = openat(t->roots.root, "dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->roots.run = openat(t->roots.root, "run", O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(t->roots.dev >= 0 && t->roots.run >= 0);
}

void
tree_remove(struct tree *t)
{
	struct error err = ERROR_INIT;

	close_fd(&t->roots.root);
	close_fd(&t->roots.dev);
	close_fd(&t->roots.run);
	REQUIRE_OK(path_remove_tree(AT_FDCWD, t->dir, &err), &err);
}

void
tree_file(const struct tree *t, const char *path, const char *text)
{
	char name[NAME_MAX + 1];
	struct error err = ERROR_INIT;
	auto_close int dir = path_open_parent(t->roots.root, path, true, 0755, name, &err);
	auto_close int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	REQUIRE(fd >= 0, "%s", path);
	REQUIRE_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}
