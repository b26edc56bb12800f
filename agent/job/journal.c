/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's copy of what a worker announced. Undoing it is in undo.c. Never blocks. */
#include "agent/job/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

void
journal_init(struct journal *j, int cgroup_root)
{
	*j = (struct journal){ .cgroup_root = cgroup_root };
}

void
journal_release(struct journal *j)
{
	for (size_t i = 0; i < j->n; i++)
		free(j->steps[i].path);
	free(j->steps);
	for (size_t i = 0; i < j->n_procs; i++)
		close_fd(&j->procs[i].pidfd);
	journal_init(j, j->cgroup_root);
}

int
journal_add(struct journal *j, enum undo_kind kind, pid_t pid, const char *path, size_t len)
{
	struct journal_step *steps;
	char *copy = NULL;
	size_t size;

	if (j->n >= JOURNAL_STEPS_MAX || len > JOURNAL_BYTES_MAX - j->bytes) {
		errno = ENOSPC;
		return -1;
	}
	if (j->n == j->size) {
		size = j->size ? j->size * 2 : 16;
		steps = reallocarray(j->steps, size, sizeof(*steps));
		if (!steps)
			return -1;
		j->steps = steps;
		j->size = size;
	}
	if (kind != UNDO_KILL) {
		copy = strndup(path, len);
		if (!copy)
			return -1;
	}
	j->steps[j->n++] = (struct journal_step){ .kind = kind, .pid = pid, .path = copy };
	j->bytes += len;
	return 0;
}

void
journal_add_process(struct journal *j, pid_t pid, int pidfd)
{
	int fd;

	if (j->n_procs == JOURNAL_PROCS_MAX)
		return;
	fd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return;
	j->procs[j->n_procs].pid = pid;
	j->procs[j->n_procs].pidfd = fd;
	j->n_procs++;
}

size_t
journal_fds(const struct journal *j, int *fds)
{
	size_t n = 0;

	if (j->cgroup_root >= 0)
		fds[n++] = j->cgroup_root;
	for (size_t i = 0; i < j->n_procs; i++)
		fds[n++] = j->procs[i].pidfd;
	return n;
}
