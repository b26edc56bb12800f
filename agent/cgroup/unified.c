/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup files that annotations name. Only the files of a table may be set: none that moves
 * processes, delegates the cgroup or has an effect outside of it. */
#include "agent/cgroup/unified.h"

#include <stdbool.h>
#include <string.h>

#include "agent/cgroup/settings.h"
#include "lib/cleanup.h"

#define VALUE_MAX 4096

static const char *const files[] = {
	"cpu.idle",
	"cpu.max",
	"cpu.max.burst",
	"cpu.uclamp.max",
	"cpu.uclamp.min",
	"cpu.weight",
	"cpu.weight.nice",
	"cpuset.cpus",
	"cpuset.mems",
	"io.bfq.weight",
	"io.latency",
	"io.max",
	"io.prio.class",
	"io.weight",
	"memory.high",
	"memory.low",
	"memory.max",
	"memory.min",
	"memory.oom.group",
	"memory.swap.high",
	"memory.swap.max",
	"memory.zswap.max",
	"memory.zswap.writeback",
	"misc.max",
	"pids.max",
	"rdma.max",
};

static bool unified_is_known(const char *name);
static int unified_add_file(struct cgroup_settings *s, const Grpc__Spec *spec, const char *name,
			    struct error *err);

/* Recognises "hugetlb.2MB.max" and "hugetlb.1GB.rsvd.max" for all page sizes. */
static bool
unified_is_hugetlb(const char *name)
{
	size_t digits;

	if (strncmp(name, "hugetlb.", 8) != 0)
		return false;
	name += 8;
	digits = strspn(name, "0123456789");
	if (!digits || digits > 8 || !name[digits] || !strchr("KMG", name[digits]))
		return false;
	name += digits + 1;
	return strcmp(name, "B.max") == 0 || strcmp(name, "B.rsvd.max") == 0;
}

/* Returns the file that an annotation names, or NULL if it has another prefix. */
static const char *
unified_file_of(const Grpc__Spec__AnnotationsEntry *entry)
{
	size_t n = strlen(UNIFIED_PREFIX);

	return strncmp(entry->key, UNIFIED_PREFIX, n) == 0 ? entry->key + n : NULL;
}

int
unified_validate(const Grpc__Spec *spec, struct error *err)
{
	for (size_t i = 0; i < spec->n_annotations; i++) {
		const char *file = unified_file_of(spec->annotations[i]);
		const char *value = spec->annotations[i]->value;

		if (!file)
			continue;
		if (!unified_is_known(file))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "annotations: " UNIFIED_PREFIX
					 "%.64s is not a cgroup file that may be set",
					 file);
		if (!*value || strlen(value) > VALUE_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "annotations: " UNIFIED_PREFIX
					 "%.64s: the value is empty or longer than %d bytes",
					 file, VALUE_MAX);
	}
	return 0;
}

static bool
unified_is_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (strcmp(files[i], name) == 0)
			return true;
	}
	return unified_is_hugetlb(name);
}

int
unified_apply(int fd, const Grpc__Spec *spec, struct error *err)
{
	struct cgroup_settings settings = { 0 };
	int result = 0;

	/* in the order of the table, in which cpu.max precedes cpu.max.burst, which depends on
	 * it */
	for (size_t f = 0; result == 0 && f <= ARRAY_LEN(files); f++)
		result = unified_add_file(&settings, spec, f < ARRAY_LEN(files) ? files[f] : NULL,
					  err);
	if (result == 0)
		result = settings_apply(&settings, fd, false, err);
	settings_release(&settings);
	return result;
}

/* Adds one write per line, since files with a line per device accept only one line at a time. */
static int
unified_add_lines(struct cgroup_settings *s, const char *file, const char *value, struct error *err)
{
	size_t n;

	for (; *value; value += n) {
		value += strspn(value, "\n");
		n = strcspn(value, "\n");
		if (n && settings_add(s, SETTING_LIMITS, "linux.resources.unified", file, err,
				      "%.*s", (int)n, value) < 0)
			return -1;
	}
	return 0;
}

/* Adds the writes of the annotations that name one file of the table, or, if name is NULL, a huge
 * page limit. */
static int
unified_add_file(struct cgroup_settings *s, const Grpc__Spec *spec, const char *name,
		 struct error *err)
{
	for (size_t i = 0; i < spec->n_annotations; i++) {
		const char *file = unified_file_of(spec->annotations[i]);

		if (!file || (name ? strcmp(file, name) != 0 : !unified_is_hugetlb(file)))
			continue;
		if (unified_add_lines(s, file, spec->annotations[i]->value, err) < 0)
			return -1;
	}
	return 0;
}
