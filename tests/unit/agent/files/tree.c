/* SPDX-License-Identifier: Apache-2.0 */
/* A run directory for copies, and a canary next to it. */
#include "tests/unit/agent/files/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/support/check.h"

#define MODE_OF_TESTS 0750

static void
put(int dir, const char *name, const char *text)
{
	auto_close int fd = openat(dir, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0640);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write_full(fd, text, strlen(text)), 0);
}

void
tree_make(struct tree *t)
{
	auto_close int dir = -1;

	strcpy(t->dir, "/tmp/test-files-XXXXXX");
	REQUIRE(mkdtemp(t->dir));
	dir = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_EQ(mkdirat(dir, "run", 0755), 0);
	REQUIRE_EQ(mkdirat(dir, "run/shared", 0755), 0);
	REQUIRE_EQ(mkdirat(dir, "run/shared/containers", 0755), 0);
	REQUIRE_EQ(mkdirat(dir, "outside", 0755), 0);
	REQUIRE_EQ(mkdirat(dir, "outside/sub", 0711), 0);
	t->run = openat(dir, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->shared = openat(dir, "run/shared/containers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->outside = openat(dir, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	t->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	put(t->outside, "f", "a canary");
	put(t->outside, "sub/f", "another");
	t->canary = tree_canary(t);
}

void
tree_end(struct tree *t)
{
	struct error err = ERROR_INIT;
	auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK_EQ(tree_canary(t), t->canary, "the canary has changed");
	close(t->run);
	close(t->shared);
	close(t->outside);
	close(t->proc);
	REQUIRE_OK(path_remove_tree(tmp, t->dir + strlen("/tmp/"), &err), &err);
}

static uint64_t
mix(uint64_t hash, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 1099511628211u;
	return hash;
}

/* Adds an entry's hash to a sum, which does not depend on the order of the entries. */
static int
add_entry(int dirfd, const char *name, const struct stat *st, void *data, struct error *err)
{
	uint64_t hash = mix(14695981039346656037u, name, strlen(name));
	uint64_t *sum = data;
	char content[64] = "";

	(void)err;
	hash = mix(hash, &st->st_mode, sizeof(st->st_mode));
	hash = mix(hash, &st->st_uid, sizeof(st->st_uid));
	hash = mix(hash, &st->st_nlink, sizeof(st->st_nlink));
	hash = mix(hash, &st->st_ino, sizeof(st->st_ino));
	if (S_ISREG(st->st_mode))
		(void)read_text_at(dirfd, name, content, sizeof(content));
	*sum += mix(hash, content, sizeof(content));
	return 0;
}

uint64_t
tree_canary(const struct tree *t)
{
	struct error err = ERROR_INIT;
	uint64_t sum = 0;

	REQUIRE_OK(path_walk(t->outside, add_entry, &sum, &err), &err);
	return sum;
}

enum error_code
tree_place(const struct tree *t, struct copy_order *order, const void *data,
	   struct copy_result *result)
{
	if (!order->temp[0])
		strcpy(order->temp, ".tatami-test");
	if (!order->dir_mode)
		order->dir_mode = MODE_OF_TESTS;
	copy_apply(t->run, t->proc, order, data, result);
	return result->err.code;
}

enum error_code
tree_put(const struct tree *t, const char *path, uint32_t mode, const char *data,
	 struct copy_result *result)
{
	struct copy_order *o = calloc(1, sizeof(*o));
	enum error_code code;

	REQUIRE(o);
	o->act = S_ISDIR(mode) ? COPY_MAKE_DIR : S_ISLNK(mode) ? COPY_MAKE_LINK : COPY_WRITE;
	o->mode = mode & 07777;
	o->uid = o->gid = UINT32_MAX;
	o->first = o->last = true;
	o->len = strlen(data);
	strcpy(o->path, path);
	code = tree_place(t, o, data, result);
	free(o);
	return code;
}

bool
tree_has(const struct tree *t, const char *path, const char *text)
{
	char content[256];

	return read_text_at(t->shared, path, content, sizeof(content)) >= 0 &&
	       strcmp(content, text) == 0;
}

uint32_t
tree_mode(const struct tree *t, const char *path)
{
	struct stat st;

	return fstatat(t->shared, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static unsigned int
count(const struct tree *t, const char *path, const char *prefix)
{
	int fd = openat(t->shared, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	unsigned int n = 0;

	REQUIRE(dir, "%s: %s", path, strerror(errno));
	while ((e = readdir(dir)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		     strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(dir);
	return n;
}

unsigned int
tree_temps(const struct tree *t, const char *path)
{
	return count(t, path, ".tatami-");
}

unsigned int
tree_names(const struct tree *t, const char *path)
{
	return count(t, path, "");
}
