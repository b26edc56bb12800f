/* SPDX-License-Identifier: Apache-2.0 */
/* The pods of a Job; see job.h. */
#include "ctl/pod/job.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Delay before a pod takes the place of one that failed: doubled each time. */
#define DELAY_MIN_MS 500
#define DELAY_MAX_MS 10000

static enum podjob_next podjob_go_on(struct podjob *j);
static void podjob_index_failed(struct podjob *j);

enum podjob_next
podjob_ended(struct podjob *j, bool has_succeeded)
{
	const struct manifest_job *spec = &j->spec;

	if (has_succeeded) {
		j->succeeded++;
		return podjob_go_on(j);
	}
	j->failed++;
	j->failures++;
	if (j->failed > spec->backoff_limit) {
		(void)snprintf(j->failure, sizeof(j->failure),
			       "BackoffLimitExceeded: %u pods of the Job have failed, more than "
			       "its backoffLimit of %lld",
			       j->failed, (long long)spec->backoff_limit);
		return PODJOB_IS_OVER;
	}
	if (spec->limit_per_index < 0 || j->failures <= spec->limit_per_index)
		return PODJOB_CONTINUES;
	podjob_index_failed(j);
	if (spec->max_failed < 0 || j->failed_indexes <= spec->max_failed)
		return podjob_go_on(j);
	(void)snprintf(j->failure, sizeof(j->failure),
		       "MaxFailedIndexesExceeded: %u indexes of the Job have failed, more than its "
		       "maxFailedIndexes of %lld",
		       j->failed_indexes, (long long)spec->max_failed);
	return PODJOB_IS_OVER;
}

static void
podjob_index_failed(struct podjob *j)
{
	size_t n = strlen(j->failed_list);

	j->failed_indexes++;
	if (n + 12 < sizeof(j->failed_list))
		(void)snprintf(j->failed_list + n, sizeof(j->failed_list) - n, "%s%u", n ? "," : "",
			       j->index);
}

/* Goes to the next index, or ends the Job after the last one. */
static enum podjob_next
podjob_go_on(struct podjob *j)
{
	j->index++;
	j->failures = 0;
	if (j->index < j->spec.completions)
		return PODJOB_CONTINUES;
	if (j->failed_indexes)
		(void)snprintf(j->failure, sizeof(j->failure),
			       "FailedIndexes: %u indexes of the Job have failed: %.80s",
			       j->failed_indexes, j->failed_list);
	return PODJOB_IS_OVER;
}

int
podjob_restarts_max(const struct manifest_job *spec)
{
	if (!spec->is_job || spec->backoff_limit >= INT32_MAX)
		return -1;
	/* The controller ends the pod when it has been restarted that often, but not before the
	 * first time. */
	return spec->backoff_limit > 1 ? (int)spec->backoff_limit - 1 : 0;
}

int
podjob_delay_ms(const struct podjob *j)
{
	int ms = DELAY_MIN_MS;

	if (j->failures == 0)
		return 0;
	for (unsigned int i = 1; i < j->failures && ms < DELAY_MAX_MS; i++)
		ms *= 2;
	return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}
