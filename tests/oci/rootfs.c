/* SPDX-License-Identifier: Apache-2.0 */
/* Modifiable root file systems: copies next to the base, which are visible to the guest as well.
 * See oci.h. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "lib/io.h"
#include "tests/oci/oci.h"

/* subdirectory of the base */
#define COPIES "oci-roots"

static void
run_program(const char *const *args)
{
	pid_t pid;
	int status = 0;
	int r = posix_spawnp(&pid, args[0], NULL, NULL, (char *const *)(uintptr_t)args, environ);

	if (r != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		printf("Bail out! %s %s: %s\n", args[0], args[1], r ? strerror(r) : "it failed");
		exit(1);
	}
}

static void
die_of(const char *what, const char *path)
{
	printf("Bail out! %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

const char *
oci_rootfs(struct oci *t)
{
	/* copies the base without the copies in it */
	static const char script[] =
		"set -e; cd \"$1\"; mkdir -p \"$2\"; for f in * .[!.]*; do case $f in " COPIES
		"|'.[!.]*') ;; *) cp -a \"$f\" \"$2/\" ;; esac; done";

	if (*t->rootfs)
		return t->rootfs;
	t->n_rootfs++;
	(void)snprintf(t->rootfs, sizeof(t->rootfs), "%s/" COPIES "/%d-%u", t->base, (int)getpid(),
		       t->n_rootfs);
	run_program(ARGS("sh", "-c", script, "sh", t->base, t->rootfs));
	(void)snprintf(t->h.rootfs, sizeof(t->h.rootfs), "%.180s/" COPIES "/%d-%u", t->guest_base,
		       (int)getpid(), t->n_rootfs);
	return t->rootfs;
}

void
oci_rootfs_end(struct oci *t)
{
	if (*t->rootfs)
		run_program(ARGS("rm", "-rf", "--one-file-system", t->rootfs));
	t->rootfs[0] = '\0';
	t->rootfs_is_known = false;
	t->changed_ns = 0;
	(void)snprintf(t->h.rootfs, sizeof(t->h.rootfs), "%s", t->guest_base);
}

void
oci_rootfs_settle(struct oci *t)
{
	uint64_t until = deadline_after(t->changed_ns, (uint64_t)t->cache_ms);
	struct timespec left = deadline_left(until);

	t->rootfs_is_known = *t->rootfs != '\0';
	if (t->changed_ns)
		(void)nanosleep(&left, NULL);
	t->changed_ns = 0;
}

static char *
below(struct oci *t, const char *path)
{
	return oci_str(t, "%s/%s", oci_rootfs(t), path);
}

/* Returns the path of a file that is about to be changed. */
static char *
changing(struct oci *t, const char *path)
{
	char *full = below(t, path);

	if (t->rootfs_is_known)
		t->changed_ns = monotonic_ns();
	return full;
}

void
oci_unlink(struct oci *t, const char *path)
{
	run_program(ARGS("rm", "-rf", "--one-file-system", changing(t, path)));
}

void
oci_file(struct oci *t, const char *path, unsigned int mode, const char *text)
{
	char *full = changing(t, path);
	auto_close int fd = -1;

	(void)unlink(full);
	fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write_full(fd, text, strlen(text)) < 0 || fchmod(fd, mode) < 0)
		die_of("write", full);
}

void
oci_dir(struct oci *t, const char *path, unsigned int mode)
{
	char *full = changing(t, path);

	if ((mkdir(full, 0700) < 0 && errno != EEXIST) || chmod(full, mode) < 0)
		die_of("make", full);
}

void
oci_link(struct oci *t, const char *path, const char *target)
{
	char *full = changing(t, path);

	oci_unlink(t, path);
	if (symlink(target, full) < 0)
		die_of("link", full);
}

char *
oci_file_text(struct oci *t, const char *path)
{
	char *text = oci_zalloc(t, 65536, 1);
	auto_close int fd = open(below(t, path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read_full(fd, text, 65535);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}
