/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk with a copy of a directory.
 *
 *	temporary directory -> the file, alone in a directory -> tatami-rootfs -> open -> removed
 */
#include "ctl/vm/copy_disk.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/vm/find.h"
#include "ctl/vm/tempdir.h"
#include "lib/cleanup.h"
#include "lib/path.h"

/* Time between two looks at pending signals. */
#define SIGNAL_POLL_MS 50

static int copy_disk_fill(struct programs *programs, const char *arch, const char *dir,
			  struct vm_share *s, const sigset_t *stop, struct error *err);
static int copy_disk_file(const char *dir, const struct vm_share *s, struct error *err);
static int copy_disk_tidy(struct programs *programs, const char *dir, const sigset_t *stop,
			  struct error *err);
static const char *copy_disk_fstype(struct error *err);
static int copy_disk_wait(struct programs *programs, const sigset_t *stop, struct error *err);

int
copy_disk_make(struct programs *programs, const char *arch, struct vm_share *s,
	       const sigset_t *stop, struct error *err)
{
	const char *parent = getenv("TMPDIR");
	struct error ignored = ERROR_INIT;
	char prefix[PATH_MAX], dir[PATH_MAX], image[PATH_MAX + 16];
	auto_close int lock = -1;
	int fd = -1;

	/* As for a scratch disk, the VM's directory may be in memory. */
	(void)snprintf(prefix, sizeof(prefix), "%s/tatami-copy",
		       parent && *parent ? parent : "/var/tmp");
	lock = tempdir_make(prefix, dir, sizeof(dir), err);
	if (lock < 0)
		return -1;
	(void)snprintf(image, sizeof(image), "%s/disk", dir);
	if (copy_disk_fill(programs, arch, dir, s, stop, err) == 0) {
		fd = open(image, (s->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (fd < 0)
			error_sys(err, "failed to open %s", image);
	}
	(void)path_remove_tree(AT_FDCWD, dir, &ignored);
	if (fd < 0)
		return error_wrap(err, "failed to copy %s to a disk", s->path);
	(void)snprintf(s->path, sizeof(s->path), "/proc/%d/fd/%d", (int)getpid(), fd);
	return fd;
}

static int
copy_disk_fill(struct programs *programs, const char *arch, const char *dir, struct vm_share *s,
	       const sigset_t *stop, struct error *err)
{
	static const char *const words[] = {
		"--quiet", "--rootfs-only", "--no-sbom", "--format",
		"disk",    "--partitions",  "none",      "--filesystem"
	};
	char program[PATH_MAX];
	struct argv a = { 0 };

	s->fstype = copy_disk_fstype(err);
	if (!s->fstype || find_program("tatami-rootfs", program, sizeof(program), err) < 0)
		return -1;
	s->readonly |= strcmp(s->fstype, "erofs") == 0;
	if (s->copied_file[0] && copy_disk_file(dir, s, err) < 0)
		return -1;
	argv_add(&a, "%s", program);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		argv_add(&a, "%s", words[i]);
	argv_add(&a, "%s", s->fstype);
	argv_add(&a, "--arch=%s", arch);
	if (geteuid() == 0)
		argv_add(&a, "--keep-owners");
	if (s->copied_file[0])
		argv_add(&a, "--from=dir:%s/from", dir);
	else
		argv_add(&a, "--from=dir:%s", s->path);
	argv_add(&a, "--output=%s/disk", dir);
	if (programs_start(programs, PROGRAM_MKFS, "tatami-rootfs", &a, -1, err) < 0)
		return -1;
	if (copy_disk_wait(programs, stop, err) < 0)
		return -1;
	return strcmp(s->fstype, "ext4") == 0 ? copy_disk_tidy(programs, dir, stop, err) : 0;
}

/* Removes lost+found, which the directory does not have: mke2fs makes it. */
static int
copy_disk_tidy(struct programs *programs, const char *dir, const sigset_t *stop, struct error *err)
{
	char program[PATH_MAX];
	struct argv a = { 0 };

	if (find_program("debugfs", program, sizeof(program), err) < 0)
		return -1;
	argv_add(&a, "%s", program);
	argv_add(&a, "-w");
	argv_add(&a, "-R");
	argv_add(&a, "rmdir /lost+found");
	argv_add(&a, "%s/disk", dir);
	if (programs_start(programs, PROGRAM_MKFS, "debugfs", &a, -1, err) < 0)
		return -1;
	return copy_disk_wait(programs, stop, err);
}

/* Returns the file system that this machine can make. */
static const char *
copy_disk_fstype(struct error *err)
{
	char program[PATH_MAX];
	struct error ignored = ERROR_INIT;

	if (find_program("mke2fs", program, sizeof(program), &ignored) == 0)
		return "ext4";
	if (find_program("mkfs.erofs", program, sizeof(program), &ignored) == 0)
		return "erofs";
	error_set(err, ERROR_FAILED_PRECONDITION,
		  "this requires the package e2fsprogs or erofs-utils");
	return NULL;
}

/* Copies one file to the directory "from". */
static int
copy_disk_file(const char *dir, const struct vm_share *s, struct error *err)
{
	char from[PATH_MAX + NAME_MAX + 2], to[PATH_MAX + NAME_MAX + 16];
	auto_close int in = -1, out = -1;
	struct stat st;
	off_t left;

	(void)snprintf(to, sizeof(to), "%s/from", dir);
	if (mkdir(to, 0755) < 0)
		return error_sys(err, "failed to create %s", to);
	(void)snprintf(from, sizeof(from), "%s/%s", s->path, s->copied_file);
	(void)snprintf(to, sizeof(to), "%s/from/%s", dir, s->copied_file);
	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0 || fstat(in, &st) < 0)
		return error_sys(err, "failed to open %s", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0 || (geteuid() == 0 && fchown(out, st.st_uid, st.st_gid) < 0) ||
	    fchmod(out, st.st_mode & 07777) < 0)
		return error_sys(err, "failed to create %s", to);
	for (left = st.st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);

		if (n <= 0)
			return error_sys(err, "failed to copy %s", from);
		left -= n;
	}
	return 0;
}

static int
copy_disk_wait(struct programs *programs, const sigset_t *stop, struct error *err)
{
	sigset_t pending;

	while (!programs_wait(programs, PROGRAM_MKFS, SIGNAL_POLL_MS)) {
		(void)sigpending(&pending);
		for (int sig = 1; sig < SIGRTMIN; sig++)
			if (sigismember(&pending, sig) == 1 && sigismember(stop, sig) == 1)
				return error_set(err, ERROR_CANCELLED, "interrupted by %s",
						 strsignal(sig));
	}
	return programs->list[PROGRAM_MKFS].status == 0
		       ? 0
		       : programs_explain(programs, PROGRAM_MKFS, err);
}
