/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pods of a Job, which run one after the other in one VM: counts what became of them and
 * decides which is next, by the rules of the Job controller. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "ctl/pod/manifest.h"

struct podjob {
	struct manifest_job spec;
	/* completion index of the current pod; not Indexed: the number of pods that have
	 * succeeded */
	unsigned int index;
	/* pods that have ended, and indexes that have failed for good */
	unsigned int succeeded, failed, failed_indexes;
	/* failures of the current index */
	unsigned int failures;
	/* the failed indexes, as far as there is room: "1,4" */
	char failed_list[128];
	/* the reason for the failure of the Job and a sentence, "": it has not failed */
	char failure[160];
};

enum podjob_next {
	/* a pod with the current index runs */
	PODJOB_CONTINUES,
	/* it has completed, or failed */
	PODJOB_IS_OVER,
};

/* Takes note that the current pod has ended, and sets the index of the next. */
enum podjob_next podjob_ended(struct podjob *j, bool has_succeeded);

/* Returns how often the containers of one pod may be restarted with restartPolicy OnFailure before
 * the Job fails; -1: no limit. */
int podjob_restarts_max(const struct manifest_job *spec);

/* Returns the delay before the next pod. */
int podjob_delay_ms(const struct podjob *j);
