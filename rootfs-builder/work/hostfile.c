/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/work/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

int
hostfile_create(struct hostfile *file, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int dir_len = slash ? (int)(slash + 1 - path) : 0;

	*file = HOSTFILE_INIT;
	if (!*name)
		return error_set(err, ERROR_INVALID_ARGUMENT, "failed to write %s: not a file name",
				 path);
	file->path = strdup(path);
	if (!file->path || asprintf(&file->temp, "%.*s.%s.XXXXXX", dir_len, path, name) < 0) {
		file->temp = NULL;
		hostfile_discard(file);
		return error_nomem(err, "building a file name");
	}
	file->fd = mkostemp(file->temp, O_CLOEXEC);
	if (file->fd < 0) {
		error_sys(err, "failed to create a temporary file for %s", path);
		free(steal_ptr(&file->temp));
		hostfile_discard(file);
		return -1;
	}
	return 0;
}

int
hostfile_commit(struct hostfile *file, struct error *err)
{
	int r = 0;

	if (fchmod(file->fd, 0644) < 0)
		r = error_sys(err, "failed to chmod %s", file->temp);
	else if (fsync(file->fd) < 0)
		r = error_sys(err, "failed to flush %s", file->temp);
	else if (rename(file->temp, file->path) < 0)
		r = error_sys(err, "failed to rename %s to %s", file->temp, file->path);
	else
		free(steal_ptr(&file->temp));
	hostfile_discard(file);
	return r;
}

void
hostfile_discard(struct hostfile *file)
{
	if (file->temp)
		(void)unlink(file->temp);
	close_fd(&file->fd);
	free(steal_ptr(&file->temp));
	free(steal_ptr(&file->path));
}
