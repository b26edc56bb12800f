/* SPDX-License-Identifier: Apache-2.0 */
/* Shows the resources after a leak. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "tests/rpc/harness.h"

static void
show_links(const char *path)
{
	struct dirent *e;
	DIR *dir = opendir(path);

	while (dir && (e = readdir(dir)) != NULL) {
		char to[256];
		ssize_t n = readlinkat(dirfd(dir), e->d_name, to, sizeof(to));

		if (n > 0)
			printf("# fd %s: %.*s\n", e->d_name, (int)n, to);
	}
	if (dir)
		(void)closedir(dir);
}

static void
show_entries(const char *path, bool deep)
{
	struct dirent *e;
	DIR *dir = opendir(path);

	while (dir && (e = readdir(dir)) != NULL) {
		char sub[1024];

		if (e->d_name[0] == '.' || (deep && e->d_type != DT_DIR))
			continue;
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		printf("# %s\n", sub);
		if (deep)
			show_entries(sub, true);
	}
	if (dir)
		(void)closedir(dir);
}

void
harness_show(const struct harness *h)
{
	static char text[1 << 16];
	char path[64];

	show_entries("/run/kata-containers", false);
	show_entries("/run/kata-containers/sandbox", false);
	show_entries("/sys/fs/cgroup", true);
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)h->agent);
	show_links(path);

	(void)snprintf(path, sizeof(path), "/proc/%d/mounts", (int)h->agent);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) > 0)
		for (char *line, *rest = text; (line = strsep(&rest, "\n"));)
			if (strstr(line, "/run/kata-containers"))
				printf("# mount: %s\n", line);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)h->supervisor,
		       (int)h->supervisor);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return;
	for (char *pid, *rest = text; (pid = strsep(&rest, " "));) {
		char line[256];

		(void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
		if (*pid && read_text_at(AT_FDCWD, path, line, sizeof(line)) > 0)
			printf("# child of the supervisor: %.*s\n", (int)strcspn(line, ")") + 3,
			       line);
	}
}
