/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: which pod is next, and what it gets from the Job. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ctl/pod/job.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

Test(job, decisions)
{
	static const struct {
		struct manifest_job spec;
		/* of each pod: + it has succeeded, - it has failed */
		const char *pods;
		/* index of each pod */
		const char *indexes;
		/* NULL: it completes */
		const char *failure;
	} rows[] = {
		{ { .completions = 1, .backoff_limit = 6, .limit_per_index = -1, .max_failed = -1 },
		  "+",
		  "0",
		  NULL },
		{ { .completions = 3, .backoff_limit = 1, .limit_per_index = -1, .max_failed = -1 },
		  "+-++",
		  "0112",
		  NULL },
		{ { .completions = 3, .backoff_limit = 1, .limit_per_index = -1, .max_failed = -1 },
		  "+--",
		  "011",
		  "BackoffLimitExceeded: 2 pods of the Job have failed, more than its "
		  "backoffLimit of 1" },
		{ { .completions = 1, .backoff_limit = 0, .limit_per_index = -1, .max_failed = -1 },
		  "-",
		  "0",
		  "BackoffLimitExceeded: 1 pods" },
		{ { .completions = 3,
		    .backoff_limit = INT32_MAX,
		    .limit_per_index = 1,
		    .max_failed = -1 },
		  "+--+",
		  "0112",
		  "FailedIndexes: 1 indexes of the Job have failed: 1" },
		{ { .completions = 4,
		    .backoff_limit = INT32_MAX,
		    .limit_per_index = 0,
		    .max_failed = 1 },
		  "-+-",
		  "012",
		  "MaxFailedIndexesExceeded: 2 indexes" },
		{ { .completions = 4,
		    .backoff_limit = INT32_MAX,
		    .limit_per_index = 0,
		    .max_failed = 2 },
		  "-+-+",
		  "0123",
		  "FailedIndexes: 2 indexes of the Job have failed: 0,2" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct podjob j = { .spec = rows[i].spec };

		for (const char *c = rows[i].pods; *c; c++) {
			CHECK_EQ(j.index, (unsigned int)(rows[i].indexes[c - rows[i].pods] - '0'),
				 "row %zu, pod %zu", i, (size_t)(c - rows[i].pods));
			CHECK_EQ(podjob_ended(&j, *c == '+'),
				 c[1] ? PODJOB_CONTINUES : PODJOB_IS_OVER, "row %zu, pod %zu", i,
				 (size_t)(c - rows[i].pods));
		}
		if (rows[i].failure)
			CHECK_HAS(j.failure, rows[i].failure);
		else
			CHECK_STR(j.failure, "");
	}
}

Test(job, delays_and_restarts)
{
	struct podjob j = { .failures = 0 };
	struct manifest_job spec = { .is_job = true, .backoff_limit = 4 };

	CHECK_EQ(podjob_delay_ms(&j), 0);
	j.failures = 1;
	CHECK_EQ(podjob_delay_ms(&j), 500);
	j.failures = 3;
	CHECK_EQ(podjob_delay_ms(&j), 2000);
	j.failures = 1000;
	CHECK_EQ(podjob_delay_ms(&j), 10000);
	CHECK_EQ(podjob_restarts_max(&spec), 3);
	spec.backoff_limit = 0;
	CHECK_EQ(podjob_restarts_max(&spec), 0);
	spec.backoff_limit = INT32_MAX;
	CHECK_EQ(podjob_restarts_max(&spec), -1);
	spec = (struct manifest_job){ .backoff_limit = 4 };
	CHECK_EQ(podjob_restarts_max(&spec), -1, "no Job");
}

static struct manifest m;

static int
read_job(const char *fields, const char *spec, unsigned int index, struct error *err)
{
	const struct manifest_guest guest = { .ip = "10.0.2.15", .uid = "6a3e", .index = index };
	char text[1024];

	(void)snprintf(text, sizeof(text),
		       "kind: Job\nmetadata: {name: sum}\nspec:\n  %s\n  template:\n"
		       "    metadata: {labels: {app: x}}\n    spec:\n      %s\n",
		       fields, spec);
	manifest_release(&m);
	return manifest_parse(&m, text, strlen(text), &guest, err);
}

#define CONTAINER "containers: [{name: c, image: i, command: [\"$(JOB_COMPLETION_INDEX)\"]"

/* Returns the value of a variable of the first container, or "". */
static const char *
variable(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < m.containers[0].n_env; i++)
		if (strncmp(m.containers[0].env[i], name, n) == 0 &&
		    m.containers[0].env[i][n] == '=')
			return m.containers[0].env[i] + n + 1;
	return "";
}

Test(job, what_an_indexed_pod_gets)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(
		read_job("completionMode: Indexed\n  completions: 3\n  parallelism: 3",
			 "restartPolicy: Never\n      " CONTAINER
			 ", env: [{name: A, valueFrom: {fieldRef: {fieldPath: "
			 "\"metadata.annotations['batch.kubernetes.io/job-completion-index']\"}}}, "
			 "{name: L, valueFrom: {fieldRef: {fieldPath: "
			 "\"metadata.labels['batch.kubernetes.io/job-completion-index']\"}}}, "
			 "{name: J, valueFrom: {fieldRef: {fieldPath: "
			 "\"metadata.labels['job-name']\"}}}, "
			 "{name: X, valueFrom: {fieldRef: {fieldPath: "
			 "\"metadata.labels['app']\"}}}, "
			 "{name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}]",
			 2, &err),
		&err);
	CHECK_EQ(m.job.completions, 3);
	CHECK(m.job.is_indexed);
	CHECK_EQ(m.job.backoff_limit, 6);
	CHECK_STR(m.name, "sum");
	CHECK_STR(m.hostname, "sum-2");
	CHECK_STR(variable("JOB_COMPLETION_INDEX"), "2");
	CHECK_STR(variable("A"), "2");
	CHECK_STR(variable("L"), "2");
	CHECK_STR(variable("J"), "sum");
	CHECK_STR(variable("X"), "x");
	CHECK_STR(variable("N"), "sum-2");
	CHECK_STR(m.containers[0].command[0], "2");
	CHECK_STR(m.ignored, "spec.parallelism");
	REQUIRE_OK(read_job("completions: 2", "restartPolicy: OnFailure\n      " CONTAINER "}]", 1,
			    &err),
		   &err);
	CHECK(!m.job.is_indexed);
	CHECK_STR(m.hostname, "sum");
	CHECK_STR(variable("JOB_COMPLETION_INDEX"), "");
	manifest_release(&m);
}

Test(job, invalid)
{
	static const struct {
		const char *fields, *said;
	} rows[] = {
		{ "completionMode: Indexed", "spec: completionMode Indexed requires completions" },
		{ "completionMode: Both", "spec.completionMode: \"Both\": expected NonIndexed" },
		{ "completions: 0", "spec.completions: must be a number from 1" },
		{ "backoffLimitPerIndex: 1",
		  "spec.backoffLimitPerIndex: requires completionMode Indexed" },
		{ "completionMode: Indexed\n  completions: 1\n  maxFailedIndexes: 1",
		  "spec.maxFailedIndexes: requires backoffLimitPerIndex" },
		{ "backoffLimit: -1", "spec.backoffLimit: must be a number from 0" },
		{ "activeDeadlineSeconds: 0", "spec.activeDeadlineSeconds: must be a number" },
		{ "podFailurePolicy: {}", "spec.podFailurePolicy: not supported" },
		{ "successPolicy: {}", "spec.successPolicy: not supported" },
	};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_EQ(read_job(rows[i].fields, "restartPolicy: Never\n      " CONTAINER "}]", 0,
				  &err),
			 -1, "%s", rows[i].fields);
		CHECK_HAS(err.msg, rows[i].said, "%s", rows[i].fields);
	}
	CHECK_EQ(read_job("completions: 1", CONTAINER "}]", 0, &err), -1);
	CHECK_HAS(err.msg, "spec.template.spec: restartPolicy must be OnFailure or Never in a Job");
	manifest_release(&m);
}
