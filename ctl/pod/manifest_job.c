/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a Job, and what its controller adds to a pod. */
#include <stdio.h>
#include <string.h>

#include "ctl/pod/manifest_internal.h"
#include "lib/cleanup.h"

#define INDEX_KEY "batch.kubernetes.io/job-completion-index"
#define NAME_KEY  "batch.kubernetes.io/job-name"
#define OLD_KEY   "job-name"
/* as for Indexed Jobs in Kubernetes */
#define COMPLETIONS_MAX 100000
#define BACKOFF_DEFAULT 6

static int manifest_check_job(struct manifest_reader *m, const struct field *job);
static int manifest_add_job_labels(struct manifest_reader *m);

int
manifest_read_job(struct manifest_reader *m)
{
	static const char *const modes[] = { "NonIndexed", "Indexed" };
	const struct field *job = &m->objects.job;
	struct manifest_job *out = &m->m->job;
	unsigned int mode = 0;
	struct field f;

	*out = (struct manifest_job){ .completions = 1,
				      .backoff_limit = BACKOFF_DEFAULT,
				      .limit_per_index = -1,
				      .max_failed = -1 };
	m->m->pod_name = m->m->name;
	if (!job->node)
		return 0;
	out->is_job = true;
	if (field_choice(&m->r, job, "completionMode", modes, ARRAY_LEN(modes), &mode) < 0 ||
	    field_number(&m->r, job, "completions", 1, COMPLETIONS_MAX, &out->completions) < 0 ||
	    field_number(&m->r, job, "backoffLimitPerIndex", 0, INT32_MAX, &out->limit_per_index) <
		    0 ||
	    field_number(&m->r, job, "maxFailedIndexes", 0, COMPLETIONS_MAX, &out->max_failed) < 0)
		return -1;
	if (out->limit_per_index >= 0)
		out->backoff_limit = INT32_MAX;
	out->is_indexed = mode == 1;
	if (field_number(&m->r, job, "backoffLimit", 0, INT32_MAX, &out->backoff_limit) < 0 ||
	    field_number(&m->r, job, "activeDeadlineSeconds", 1, INT32_MAX, &out->deadline_s) < 0 ||
	    manifest_check_job(m, job) < 0)
		return -1;
	/* One pod runs at a time. */
	field_get(job, "parallelism", &f);
	if (f.node && (!f.node->text || strcmp(f.node->text, "1") != 0) &&
	    field_ignore(&m->r, f.path) < 0)
		return -1;
	if (out->is_indexed) {
		m->m->pod_name = arena_printf(m->r.arena, "%s-%u", m->m->name, m->guest->index);
		if (!m->m->pod_name)
			return field_nomem(&m->r);
	}
	return manifest_add_job_labels(m);
}

/* Checks what fields require of each other. */
static int
manifest_check_job(struct manifest_reader *m, const struct field *job)
{
	const struct manifest_job *out = &m->m->job;
	struct field f;

	if (out->is_indexed && !field_has(job, "completions"))
		return field_wrong(&m->r, job, "completionMode Indexed requires completions");
	field_get(job, "backoffLimitPerIndex", &f);
	if (f.node && !out->is_indexed)
		return field_wrong(&m->r, &f, "requires completionMode Indexed");
	field_get(job, "maxFailedIndexes", &f);
	if (f.node && out->limit_per_index < 0)
		return field_wrong(&m->r, &f, "requires backoffLimitPerIndex");
	field_get(&m->objects.spec, "restartPolicy", &f);
	if (!f.node || !f.node->text || strcmp(f.node->text, "Always") == 0)
		return field_wrong(&m->r, f.node ? &f : &m->objects.spec,
				   "restartPolicy must be OnFailure or Never in a Job");
	return 0;
}

/* Puts an entry before those of a map, which is not changed. */
static int
manifest_put_entry(struct manifest_reader *m, const struct yaml_node **map, const char *key,
		   const char *value)
{
	struct yaml_node *top = arena_zalloc(m->r.arena, 1, sizeof(*top));
	struct yaml_node *entry = arena_zalloc(m->r.arena, 1, sizeof(*entry));
	char *name = arena_strdup(m->r.arena, key), *text = arena_strdup(m->r.arena, value);

	if (!top || !entry || !name || !text)
		return field_nomem(&m->r);
	*top = (struct yaml_node){ .kind = YAML_MAP };
	if (*map && (*map)->kind == YAML_MAP)
		*top = **map;
	*entry = (struct yaml_node){ .kind = YAML_QUOTED, .key = name, .text = text };
	entry->next = top->first;
	top->first = entry;
	top->n++;
	*map = top;
	return 0;
}

/* Adds the labels and the annotation of a Job's pod, for the downward API. */
static int
manifest_add_job_labels(struct manifest_reader *m)
{
	struct field labels, annotations;
	char index[16];

	(void)snprintf(index, sizeof(index), "%u", m->guest->index);
	field_get(&m->objects.template_metadata, "labels", &labels);
	field_get(&m->objects.template_metadata, "annotations", &annotations);
	m->maps[0] = labels.node;
	m->maps[1] = annotations.node;
	if (manifest_put_entry(m, &m->maps[0], NAME_KEY, m->m->name) < 0 ||
	    manifest_put_entry(m, &m->maps[0], OLD_KEY, m->m->name) < 0)
		return -1;
	if (!m->m->job.is_indexed)
		return 0;
	return manifest_put_entry(m, &m->maps[0], INDEX_KEY, index) < 0 ||
			       manifest_put_entry(m, &m->maps[1], INDEX_KEY, index) < 0
		       ? -1
		       : 0;
}
