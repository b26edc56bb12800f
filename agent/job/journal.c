/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's copy of what a worker announced. Undoing it is in undo.c. Never blocks. */
#include "agent/job/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

void
journal_init(struct journal *j, int cgroup_root, job_cgroup_fn *remove_cgroup)
{
	*j = (struct journal){ .cgroup_root = cgroup_root, .remove_cgroup = remove_cgroup };
}

void
journal_close_fds(struct journal *j)
{
	for (size_t i = 0; i < j->n; i++)
		close_fd(&j->steps[i].fd);
}

void
journal_release(struct journal *j)
{
	journal_close_fds(j);
	for (size_t i = 0; i < j->n; i++)
		free(j->steps[i].name);
	free(j->steps);
	journal_init(j, j->cgroup_root, j->remove_cgroup);
}

static int
journal_grow(struct journal *j)
{
	size_t size = j->size ? j->size * 2 : 16;
	struct journal_step *steps = reallocarray(j->steps, size, sizeof(*steps));

	if (!steps)
		return -1;
	j->steps = steps;
	j->size = size;
	return 0;
}

int
journal_add(struct journal *j, const struct journal_step *step, size_t len)
{
	auto_close int fd = step->fd;
	char *name;

	j->is_lost = true;
	if (j->n >= JOURNAL_STEPS_MAX || len > JOURNAL_NAME_MAX) {
		errno = ENOSPC;
		return -1;
	}
	if (j->n == j->size && journal_grow(j) < 0)
		return -1;
	name = strndup(step->name, len);
	if (!name)
		return -1;
	j->steps[j->n] = *step;
	j->steps[j->n].name = name;
	j->n++;
	j->is_lost = false;
	(void)steal_fd(&fd);
	return 0;
}

void
journal_taken(struct journal *j, bool taken, dev_t dev, ino_t ino)
{
	struct journal_step *last;

	if (j->n == 0 || j->is_lost)
		return;
	last = &j->steps[j->n - 1];
	last->taken = taken ? JOURNAL_TAKEN : JOURNAL_NOT_TAKEN;
	last->dev = dev;
	last->ino = ino;
}

size_t
journal_fds(const struct journal *j, int *fds)
{
	size_t n = 0;

	if (j->cgroup_root >= 0)
		fds[n++] = j->cgroup_root;
	for (size_t i = 0; i < j->n; i++) {
		if (j->steps[i].fd >= 0)
			fds[n++] = j->steps[i].fd;
	}
	return n;
}
