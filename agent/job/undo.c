/* SPDX-License-Identifier: Apache-2.0 */
/* See undo.h. */
#include "agent/job/undo.h"

#include "agent/job/journal.h"

int
undo_work(struct worker *w, void *arg, struct error *err)
{
	const struct journal *j = arg;
	struct error ignored = ERROR_INIT;
	int result = 0;

	for (size_t i = j->n; i-- > 0;) {
		const struct step *step = &j->steps[i];
		struct error failed = ERROR_INIT;

		/* Closed after everything was undone, by a previous worker that was killed after
		 * that. */
		if (step->fd < 0 || step->kind->undo(step, &failed) == 0)
			continue;
		worker_log(w, LOG_LEVEL_WARN, "%s", failed.msg);
		if (result == 0)
			*err = failed;
		result = -1;
	}
	/* The agent closes its copies of the fds before this worker does. */
	(void)worker_send(w, UNDO_MSG_DONE, NULL, 0, NULL, 0, true, &ignored);
	return result;
}
