/* SPDX-License-Identifier: Apache-2.0 */
/* Private temporary directories. A lock, unlike a pid, tells reliably whether the owner is
 * alive. */
#include "ctl/vm/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"

#define ATTEMPTS 100

static void tempdir_sweep(const char *prefix);

int
tempdir_make(const char *prefix, char *out, size_t size, struct error *err)
{
	char made[PATH_MAX];

	tempdir_sweep(prefix);
	for (int i = 0; i < ATTEMPTS; i++) {
		auto_close int fd = -1;

		/* Lock the directory under a name that tempdir_sweep() does not match, then rename
		 * it. */
		(void)snprintf(made, sizeof(made), "%s.XXXXXX", prefix);
		if (!mkdtemp(made))
			return error_sys(err, "failed to create directory %s", made);
		fd = open(made, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
			error_sys(err, "failed to lock %s", made);
			(void)rmdir(made);
			return -1;
		}
		(void)snprintf(out, size, "%s-%s", prefix, made + strlen(made) - 6);
		if (renameat2(AT_FDCWD, made, AT_FDCWD, out, RENAME_NOREPLACE) == 0)
			return steal_fd(&fd);
		error_sys(err, "failed to rename %s to %s", made, out);
		(void)rmdir(made);
		if (err->errnum != EEXIST)
			return -1;
	}
	return -1;
}

/* Removes the unlocked directories of this user. Failures are ignored. */
static void
tempdir_sweep(const char *prefix)
{
	struct error ignored = ERROR_INIT;
	struct stat st;
	char pattern[PATH_MAX];
	glob_t found;

	(void)snprintf(pattern, sizeof(pattern), "%s-??????", prefix);
	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		auto_close int fd =
			open(found.gl_pathv[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    (st.st_mode & 077) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			(void)path_remove_tree(AT_FDCWD, found.gl_pathv[i], &ignored);
	}
	globfree(&found);
}
