/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's journal of the steps that a worker announced. Never blocks. */
#include "agent/job/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

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
	*j = (struct journal){ 0 };
}

static int
journal_grow(struct journal *j)
{
	size_t size = j->size ? j->size * 2 : 16;
	struct step *steps = reallocarray(j->steps, size, sizeof(*steps));

	if (!steps)
		return -1;
	j->steps = steps;
	j->size = size;
	return 0;
}

int
journal_add(struct journal *j, const struct step *step, size_t len)
{
	auto_close int fd = step->fd;
	char *name;

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
	(void)steal_fd(&fd);
	return 0;
}

void
journal_taken(struct journal *j, size_t n, bool taken, dev_t dev, ino_t ino)
{
	struct step *step;

	if (n >= j->n)
		return;
	step = &j->steps[n];
	step->result = taken ? STEP_TAKEN : STEP_NOT_TAKEN;
	step->dev = dev;
	step->ino = ino;
}

size_t
journal_fds(const struct journal *j, int *fds)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n; i++) {
		if (j->steps[i].fd >= 0)
			fds[n++] = j->steps[i].fd;
	}
	return n;
}
