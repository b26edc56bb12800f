/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets up resolv.conf, hostname and hosts as the host wants them: files on the agent's tmpfs,
 * bind-mounted over those of the guest's root. Worker only. Must never write to the root itself: it
 * belongs to the image and may be read-only.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/job/steps.h"
#include "agent/job/worker.h"
#include "agent/sandbox/setup_work.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/unmount.h"

/* Bytes of one file. */
#define TEXT_MAX    (1u << 20)
#define SANDBOX_DIR "sandbox"
#define HOSTS       "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback"

/* Joins the host's lines with newlines, without leading and trailing blanks. */
static int
names_resolv_text(struct buf *text, const struct sandbox_request *request, int target)
{
	(void)target;
	for (size_t i = 0; i < request->n_dns; i++) {
		const char *line = request->dns[i];
		size_t n;

		line += strspn(line, " \t\r\n");
		n = strlen(line);
		while (n > 0 && strchr(" \t\r\n", line[n - 1]))
			n--;
		if ((i > 0 && buf_append(text, "\n", 1) < 0) || buf_append(text, line, n) < 0)
			return -1;
	}
	return 0;
}

static int
names_hostname_text(struct buf *text, const struct sandbox_request *request, int target)
{
	const char *name = request->hostname;

	(void)target;
	return buf_append(text, name, strlen(name)) < 0 ? -1 : buf_append(text, "\n", 1);
}

/* Appends the hostname to the image's lines, which may name other hosts. */
static int
names_hosts_text(struct buf *text, const struct sandbox_request *request, int target)
{
	char own[64 << 10], path[64], line[SANDBOX_HOSTNAME_MAX + 32];

	/* read_text_at() strips the last newline. */
	if (read_text_at(AT_FDCWD, path_of_fd(target, path), own, sizeof(own)) <= 0)
		(void)snprintf(own, sizeof(own), "%s", HOSTS);
	(void)snprintf(line, sizeof(line), "\n127.0.1.1\t%s\n", request->hostname);
	return buf_append(text, own, strlen(own)) < 0 ? -1 : buf_append(text, line, strlen(line));
}

static bool
names_has_dns(const struct sandbox_request *request)
{
	return request->n_dns > 0;
}

/* Returns whether the hostname is a single word, so that it fits on a line of hosts. */
static bool
names_has_hostname(const struct sandbox_request *request)
{
	const char *c = request->hostname;

	while (isgraph((unsigned char)*c) && *c != '#')
		c++;
	return *request->hostname && !*c;
}

static const struct name_file {
	const char *ours, *target;
	bool (*is_wanted)(const struct sandbox_request *request);
	/* Writes the content; `target` is the guest's own file. -1: it is too long. */
	int (*text)(struct buf *text, const struct sandbox_request *request, int target);
	/* A missing target is logged; one that is not a file is an error. */
	bool is_needed;
} files[] = {
	{ SANDBOX_DIR "/resolv.conf", "/etc/resolv.conf", names_has_dns, names_resolv_text, true },
	{ SANDBOX_DIR "/hostname", "/etc/hostname", names_has_hostname, names_hostname_text,
	  false },
	{ SANDBOX_DIR "/hosts", "/etc/hosts", names_has_hostname, names_hosts_text, false },
};

bool
setup_names_wanted(const struct sandbox_request *request)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (files[i].is_wanted(request))
			return true;
	}
	return false;
}

static int
names_write_ours(struct worker *w, int run, const struct name_file *f, const struct buf *text,
		 struct error *err)
{
	auto_close int fd = -1;

	if (mkdirat(run, SANDBOX_DIR, 0755) < 0 && errno != EEXIST)
		return error_sys(err, "failed to create %s/%s", RUN_DIR, SANDBOX_DIR);
	/* Left by an earlier attempt. */
	if (unlinkat(run, f->ours, 0) < 0 && errno != ENOENT)
		return error_sys(err, "failed to remove the old %s/%s", RUN_DIR, f->ours);
	fd = worker_create(w, run, f->ours, 0644, NULL, err);
	if (fd < 0)
		return -1;
	if (write_full(fd, buf_head(text), buf_len(text)) < 0)
		return error_sys(err, "failed to write %s/%s", RUN_DIR, f->ours);
	return 0;
}

/* Writes the agent's file, and bind-mounts it over `target` unless that is -1. */
static int
names_put_file(struct worker *w, const struct setup_work *work, const struct name_file *f,
	       int target, int32_t *id, struct error *err)
{
	auto_close int tree = -1;
	struct buf text;
	int result = 0;

	buf_init(&text, TEXT_MAX);
	if (f->text(&text, work->request, target) < 0)
		result = error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s exceeds %u bytes", f->target,
				   TEXT_MAX);
	if (result == 0)
		result = names_write_ours(w, work->roots->run, f, &text, err);
	buf_release(&text);
	if (result < 0 || target < 0)
		return result;
	tree = sys_open_tree(work->roots->run, f->ours, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return error_sys(err, "failed to open %s/%s", RUN_DIR, f->ours);
	return worker_mount(w, tree, target, f->target, id, err);
}

/* Returns 1 if the file was bound on *point, which stays open, as the mount *id; 0 if the guest has
 * no such file; or -1 and err. */
static int
names_set_up_file(struct worker *w, const struct setup_work *work, const struct name_file *f,
		  int *point, int32_t *id, struct error *err)
{
	auto_close int target =
		path_try_open(work->roots->root, f->target, O_PATH, 0, PATH_FOLLOW_ALL);
	struct stat st;

	if (target < 0 && errno != ENOENT && f->is_needed)
		return error_sys(err, "failed to open %s", f->target);
	if (target >= 0 && fstat(target, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (f->is_needed)
			return error_set(err, ERROR_FAILED_PRECONDITION, "%s is a directory",
					 f->target);
		close_fd(&target);
	}
	if (target < 0 && !f->is_needed)
		return 0;
	if (names_put_file(w, work, f, target, id, err) < 0)
		return -1;
	if (target < 0) {
		worker_log(w, LOG_LEVEL_WARN, "the guest has no %s: skipping it", f->target);
		return 0;
	}
	*point = steal_fd(&target);
	return 1;
}

int
setup_work_names(struct worker *w, const struct setup_work *work, struct error *err)
{
	int32_t ids[SETUP_NAMES_MAX];
	int points[SETUP_NAMES_MAX];
	size_t n = 0;

	_Static_assert(ARRAY_LEN(files) <= SETUP_NAMES_MAX && SETUP_NAMES_MAX <= IO_FDS_MAX,
		       "all fit one message");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int r = files[i].is_wanted(work->request)
				? names_set_up_file(w, work, &files[i], &points[n], &ids[n], err)
				: 0;

		if (r < 0)
			return -1;
		n += r > 0;
	}
	/* The worker's exit closes its fds. */
	return worker_send(w, SETUP_MSG_NAMES, ids, n * sizeof(ids[0]), points, n, true, err);
}

void
setup_names_close(struct setup_names *names)
{
	while (names->n > 0)
		close_fd(&names->point[--names->n]);
}

void
setup_names_unbind(struct worker *w, const struct setup_names *names)
{
	for (size_t i = 0; i < names->n; i++) {
		if (unmount_upon(names->point[i], names->id[i], MNT_DETACH) < 0)
			worker_log(w, LOG_LEVEL_WARN, "failed to unmount a file of the sandbox: %s",
				   strerror(errno));
	}
}
