/* SPDX-License-Identifier: Apache-2.0 */
/* GetVolumeStats: statfs(2), and whether the file system is healthy. A worker does this because a
 * share may hang. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/job/job.h"
#include "agent/storage/volume.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/mountinfo.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "lib/sys.h"

#define USAGE_MS 10000

struct usage_arg {
	const struct roots *roots;
	volume_usage_fn *done;
	void *data;
	char path[];
};

static bool
has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (; *words; words += strspn(words, ",")) {
		size_t n = strcspn(words, ",");

		if (n == len && strncmp(words, word, n) == 0)
			return true;
		words += n;
	}
	return false;
}

/* Returns whether the file system switches to read-only on errors. */
static bool
turns_read_only(const char *fstype)
{
	static const char *const types[] = { "ext2", "ext3", "ext4", "btrfs" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i], fstype) == 0)
			return true;
	return false;
}

/* Returns the number of errors that ext4 has recorded on a disk, "MAJOR:MINOR". */
static uint64_t
ext4_errors(int sysfd, const char *disk)
{
	char name[64], target[PATH_MAX], path[PATH_MAX + 32], text[32];
	uint64_t n = 0;
	ssize_t len;

	(void)snprintf(name, sizeof(name), "dev/block/%.32s", disk);
	len = readlinkat(sysfd, name, target, sizeof(target) - 1);
	if (len < 0)
		return 0;
	target[len] = '\0';
	(void)snprintf(path, sizeof(path), "fs/ext4/%s/errors_count",
		       strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	if (read_text_at(sysfd, path, text, sizeof(text)) < 0)
		return 0;
	(void)parse_u64(text, &n);
	return n;
}

/* Looks for errors in one line of mountinfo (proc(5)): id parent dev root point options [tags] -
 * type source super-options. */
static void
look_for_errors(char *line, int sysfd, struct volume_usage *u)
{
	char *tail = strstr(line, " - ");
	char *save = NULL, *disk = NULL, *options = NULL, *type, *super;
	uint64_t errors;

	if (!tail)
		return;
	*tail = '\0';
	for (int i = 0; i < 6; i++) {
		options = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (i == 2)
			disk = options;
	}
	type = strtok_r(tail + 3, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	super = strtok_r(NULL, " ", &save);
	if (!disk || !options || !type || !super || !turns_read_only(type))
		return;
	/* ext4 reports this by options of its own since Linux 6.15. */
	if ((has_word(options, "rw") && has_word(super, "ro")) || has_word(super, "emergency_ro") ||
	    has_word(super, "shutdown")) {
		u->is_abnormal = true;
		(void)snprintf(u->message, sizeof(u->message),
			       "the file system was made read-only after an error");
		return;
	}
	/* Linux 6.12 to 6.14 show no option. */
	errors = strcmp(type, "ext4") == 0 ? ext4_errors(sysfd, disk) : 0;
	if (errors == 0)
		return;
	u->is_abnormal = true;
	(void)snprintf(u->message, sizeof(u->message), "the file system has recorded %llu errors",
		       (unsigned long long)errors);
}

static void
look_at_condition(int fd, const struct roots *roots, struct volume_usage *u)
{
	struct error ignored = ERROR_INIT;
	auto_free char *text = mountinfo_read(roots->proc, "self/mountinfo", &ignored);
	int id = sys_mount_id(fd, "", AT_EMPTY_PATH);
	char *rest = text, *line, begin[16];

	(void)snprintf(u->message, sizeof(u->message), "OK");
	(void)snprintf(begin, sizeof(begin), "%d ", id);
	while (id >= 0 && (line = strsep(&rest, "\n")) != NULL) {
		if (strncmp(line, begin, strlen(begin)) != 0)
			continue;
		look_for_errors(line, roots->sys, u);
		return;
	}
}

static int
usage_work(struct worker *w, void *arg, struct error *err)
{
	const struct usage_arg *a = arg;
	struct volume_usage u = { 0 };
	struct statfs st;
	uint64_t block;
	auto_close int fd = roots_open_path(a->roots, a->path);

	if (fd < 0 || fstatfs(fd, &st) < 0)
		return error_sys_code(
			err, errno == ENOENT || errno == ENOTDIR ? ERROR_NOT_FOUND : ERROR_INTERNAL,
			"failed to stat volume %s", a->path);
	block = (uint64_t)(st.f_frsize > 0 ? st.f_frsize : st.f_bsize);
	u.total = st.f_blocks * block;
	u.available = st.f_bavail * block;
	u.used = (st.f_blocks - st.f_bfree) * block;
	u.inodes = st.f_files;
	u.inodes_available = st.f_ffree;
	u.inodes_used = st.f_files - st.f_ffree;
	look_at_condition(fd, a->roots, &u);
	return worker_output(w, &u, sizeof(u), err);
}

static void
usage_on_done(struct job *job, const struct error *err, void *data)
{
	const struct usage_arg *a = data;
	struct volume_usage u;
	struct error failed = *err;

	if (err->code == ERROR_OK)
		memcpy(&u, job_output(job, NULL), sizeof(u));
	/* The worker had no time to say which. */
	if (err->code == ERROR_DEADLINE_EXCEEDED)
		error_wrap(&failed, "failed to stat volume %s", a->path);
	a->done(&failed, err->code == ERROR_OK ? &u : NULL, a->data);
}

static const struct job_ops usage_job = {
	.name = "volume statistics",
	.work = usage_work,
	.output_min = sizeof(struct volume_usage),
	.output_max = sizeof(struct volume_usage),
	.done = usage_on_done,
};

struct pending *
volume_usage(const struct volume_parts *parts, const char *path, volume_usage_fn *done, void *data,
	     struct error *err)
{
	const struct roots *roots = parts->roots;
	const int fds[] = { roots->root, roots->proc, roots->sys, roots->run };
	struct job_spec spec = {
		.ops = &usage_job,
		.free_arg = free,
		.keep_fds = fds,
		.n_keep_fds = ARRAY_LEN(fds),
		.deadline_ms = USAGE_MS,
	};
	struct usage_arg *arg;

	if (path[0] != '/') {
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "invalid volume path \"%.128s\": not absolute", path);
		return NULL;
	}
	arg = malloc(sizeof(*arg) + strlen(path) + 1);
	if (!arg) {
		error_nomem(err, "reading volume statistics");
		return NULL;
	}
	*arg = (struct usage_arg){ .roots = roots, .done = done, .data = data };
	memcpy(arg->path, path, strlen(path) + 1);
	spec.arg = spec.data = arg;
	return job_pending(job_start(parts->jobs, &spec, err));
}
