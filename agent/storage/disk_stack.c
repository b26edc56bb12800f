/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions and dm-verity devices on a disk. */
#include "agent/storage/disk_stack.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "agent/job/job.h"
#include "agent/storage/verity.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

/* Partitions of one disk that the kernel can number. */
#define PARTITION_MAX 255

/* Returns the partition's number in *number, 0 for the whole disk. */
static int
disk_stack_partition(const struct storage_spec *spec, uint32_t *number, struct error *err)
{
	const char *enabled = storage_option(spec, "X-kata.gpt-partitioned");
	const char *text = storage_option(spec, "X-kata.partition-number");

	*number = 0;
	if (!enabled || strcmp(enabled, "true") != 0)
		return 0;
	if (!text || !parse_u32(text, number) || *number == 0 || *number > PARTITION_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid X-kata.partition-number \"%.32s\"",
				 spec->mount_point, text ? text : "");
	return 0;
}

int
disk_stack_check(const struct storage_spec *spec, struct error *err)
{
	struct verity v;
	uint32_t number;

	return disk_stack_partition(spec, &number, err) < 0 || verity_parse(spec, &v, err) < 0 ? -1
											       : 0;
}

int
disk_stack_open(struct worker *w, const struct storage_mount *m,
		char node[static DISK_STACK_NODE_MAX], struct error *err)
{
	struct verity v;
	uint32_t number;
	int has_verity = verity_parse(m->spec, &v, err);
	size_t len = strlen(m->node);

	storage_await_disk(m->roots, m->node);
	if (has_verity < 0 || disk_stack_partition(m->spec, &number, err) < 0)
		return -1;
	(void)snprintf(node, DISK_STACK_NODE_MAX, "%s", m->node);
	if (number > 0) {
		/* The kernel reads the table before it announces the disk. */
		(void)snprintf(node, DISK_STACK_NODE_MAX, "%s%s%u", m->node,
			       isdigit((unsigned char)m->node[len - 1]) ? "p" : "", number);
		auto_close int fd = roots_open_path(m->roots, node);

		if (fd < 0)
			return error_sys(err, "failed to open partition %u of %s", number, m->node);
	}
	if (has_verity) {
		char below[DISK_STACK_NODE_MAX];

		memcpy(below, node, sizeof(below));
		return verity_open(w, m->roots, m->spec, &v, below, node, err);
	}
	return 0;
}

void
disk_stack_close(struct worker *w, const struct storage_mount *m)
{
	struct error err = ERROR_INIT;
	struct verity v;

	if (verity_parse(m->spec, &v, &err) > 0 && verity_close(m->roots, m->spec, &err) < 0)
		worker_log(w, LOG_LEVEL_WARN, "storage %s: %s", m->spec->mount_point, err.msg);
}
