/* SPDX-License-Identifier: Apache-2.0 */
/* Making and finding cgroups. Removal is in remove.c, limits are in limits.c. */
#include "agent/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"

/* The number of attempts to make a cgroup while another worker removes a parent. */
#define CREATE_TRIES 16

static int cgroup_make_path(int root_fd, const char *path);
static int cgroup_hand_down_controllers(int root_fd, const char *path, int leaf);
static void cgroup_enable_controllers(int dir, const char *controllers);

int
cgroup_open(int root_fd, const char *path)
{
	return path_try_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
}

static bool
cgroup_dir_is_populated(int fd)
{
	char text[256];

	return read_text_at(fd, "cgroup.events", text, sizeof(text)) > 0 &&
	       strstr(text, "populated 1") != NULL;
}

bool
cgroup_is_populated(int root_fd, const char *path)
{
	auto_close int fd = cgroup_open(root_fd, path);

	return fd >= 0 && cgroup_dir_is_populated(fd);
}

int
cgroup_create(int root_fd, const char *path, struct error *err)
{
	auto_close int fd = -1;

	if (!*path || *path == '/' || strlen(path) > CGROUP_PATH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid cgroup path \"%.64s\"",
				 path);
	fd = cgroup_open(root_fd, path);
	if (fd >= 0 && cgroup_dir_is_populated(fd))
		return error_set(err, ERROR_ALREADY_EXISTS, "cgroup %s is in use", path);
	/* the removal of another container may remove a common parent between two steps */
	for (int i = 0; fd < 0 && i < CREATE_TRIES; i++) {
		fd = cgroup_make_path(root_fd, path);
		if (fd < 0 && errno != ENOENT)
			break;
	}
	if (fd < 0)
		return error_sys(err, "failed to create cgroup %s", path);
	if (cgroup_hand_down_controllers(root_fd, path, fd) < 0)
		return error_sys(err, "failed to enable controllers for cgroup %s", path);
	return steal_fd(&fd);
}

/* Makes a directory and its parents. Returns a descriptor of the directory, or -1 and errno. */
static int
cgroup_make_path(int root_fd, const char *path)
{
	char part[CGROUP_PATH_MAX + 1];
	const char *end = path;

	do {
		end = strchr(end + (end != path), '/');
		if (!end)
			end = path + strlen(path);
		memcpy(part, path, (size_t)(end - path));
		part[end - path] = '\0';
		if (mkdirat(root_fd, part, 0755) < 0 && errno != EEXIST)
			return -1;
	} while (*end);
	return cgroup_open(root_fd, path);
}

/* Enables the root's controllers in every ancestor of path, top down, if the leaf lacks one. */
static int
cgroup_hand_down_controllers(int root_fd, const char *path, int leaf)
{
	char all[256], have[256], part[CGROUP_PATH_MAX + 1];

	if (read_text_at(root_fd, "cgroup.controllers", all, sizeof(all)) < 0)
		return -1;
	if (read_text_at(leaf, "cgroup.controllers", have, sizeof(have)) < 0)
		return -1;
	if (strcmp(all, have) == 0)
		return 0;
	cgroup_enable_controllers(root_fd, all);
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		auto_close int dir = -1;

		memcpy(part, path, (size_t)(slash - path));
		part[slash - path] = '\0';
		dir = cgroup_open(root_fd, part);
		if (dir < 0)
			return -1;
		cgroup_enable_controllers(dir, all);
	}
	return 0;
}

/* Enables each of `controllers` (separated by blanks) for the children of dir, one per write: one
 * that dir lacks or may not enable does not affect the others. */
static void
cgroup_enable_controllers(int dir, const char *controllers)
{
	char list[256], *rest = list, *name;
	char word[sizeof(list) + 1];

	(void)snprintf(list, sizeof(list), "%s", controllers);
	while ((name = strsep(&rest, " "))) {
		if (!*name)
			continue;
		(void)snprintf(word, sizeof(word), "+%s", name);
		(void)write_text_at(dir, "cgroup.subtree_control", word);
	}
}

int
cgroup_of_process(int proc_fd, int pid, char *path, size_t size)
{
	char name[32], text[PATH_MAX + 64];
	char *line, *end;

	(void)snprintf(name, sizeof(name), "%d/cgroup", pid);
	if (read_text_at(proc_fd, name, text, sizeof(text)) < 0)
		return -1;
	/* the line of cgroup v2 is "0::/path"; the others are those of v1 hierarchies */
	for (line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line += 4;
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (strlen(line) >= size) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(path, line, strlen(line) + 1);
		return 0;
	}
	errno = ENOENT;
	return -1;
}
