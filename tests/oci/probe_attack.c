/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile probes: attacks that a container might try. See probe.c. */
#include "tests/oci/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CHUNK (16u << 20)
/* SYS_RENAME_EXCHANGE of renameat2(2) */
#define FLIP 2

/* flip A B: exchanges two names forever, atomically where the file system supports it. */
int
probe_flip(int n, char **args)
{
	char spare[4096];

	if (n < 2)
		return 2;
	(void)snprintf(spare, sizeof(spare), "%s.spare", args[0]);
	for (;;) {
		if (syscall(SYS_renameat2, AT_FDCWD, args[0], AT_FDCWD, args[1], FLIP) == 0)
			continue;
		if (rename(args[0], spare) < 0 || rename(args[1], args[0]) < 0 ||
		    rename(spare, args[1]) < 0)
			return 1;
	}
}

/* Allocates memory until it is killed. */
int
probe_hog(int n, char **args)
{
	(void)n;
	(void)args;
	for (;;) {
		char *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		for (size_t i = 0; p != MAP_FAILED && i < CHUNK; i += 4096)
			p[i] = (char)i;
	}
}

/* hold MIB: allocates the memory and prints "up"; on a line of input, checks the memory and
 * prints "alive". */
int
probe_hold(int n, char **args)
{
	size_t size = n > 0 ? (size_t)atoi(args[0]) << 20 : 0, sum = 0;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char line[16];

	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	if (write(STDOUT_FILENO, "up\n", 3) != 3 || read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 1;
	for (size_t i = 0; i < size; i += 4096)
		sum += (size_t)p[i];
	return sum == size / 4096 && write(STDOUT_FILENO, "alive\n", 6) == 6 ? 0 : 1;
}

/* Forks recursively. */
int
probe_forks(int n, char **args)
{
	(void)n;
	(void)args;
	for (;;)
		(void)fork();
}

/* busybox and this program */
static struct stat own_programs[2];

/* Returns whether a process runs a program that is not the container's own (busybox or this
 * program). */
int
is_foreign(int pid_fd, char *name, size_t size)
{
	struct stat s;
	ssize_t n = readlinkat(pid_fd, "exe", name, size - 1);

	if (n < 0)
		return 0;
	name[n] = '\0';
	if (fstatat(pid_fd, "exe", &s, 0) < 0)
		return 0;
	for (size_t i = 0; i < 2; i++) {
		if (s.st_dev == own_programs[i].st_dev && s.st_ino == own_programs[i].st_ino)
			return 0;
	}
	return 1;
}

/* Tries once to open a process's program for writing: through its link, and through an fd of it
 * once it is no longer being executed. */
static void
try_exe(int pid_fd, const char *pid, int *held, unsigned int *n_held)
{
	char name[4096];
	int fd;

	if (!is_foreign(pid_fd, name, sizeof(name)))
		return;
	fd = openat(pid_fd, "exe", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		printf("writable: %s of %s\n", name, pid);
		(void)close(fd);
	}
	fd = openat(pid_fd, "exe", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && *n_held < 64)
		held[(*n_held)++] = fd;
	else if (fd >= 0)
		(void)close(fd);
}

static void
try_held(const int *held, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		char path[64];
		int fd;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", held[i]);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0) {
			printf("writable after its exit: fd %d\n", held[i]);
			(void)close(fd);
		}
	}
}

void
each_process(void (*fn)(int pid_fd, const char *pid, void *data), void *data)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		int fd;

		if (e->d_name[0] < '0' || e->d_name[0] > '9' || atoi(e->d_name) == getpid())
			continue;
		fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			continue;
		fn(fd, e->d_name, data);
		(void)close(fd);
	}
	if (dir)
		(void)closedir(dir);
}

struct writer {
	int held[64];
	unsigned int n_held, seen;
};

static void
writer_look(int pid_fd, const char *pid, void *data)
{
	struct writer *w = data;
	unsigned int before = w->n_held;

	try_exe(pid_fd, pid, w->held, &w->n_held);
	w->seen += w->n_held > before;
}

void
own_program(void)
{
	if (stat("/bin/busybox", &own_programs[0]) < 0 ||
	    stat("/bin/oci-probe", &own_programs[1]) < 0)
		printf("no programs\n");
}

/* exe-writer FILE: until FILE exists, tries to open the program of every other process for
 * writing. */
int
probe_exe_writer(int n, char **args)
{
	struct writer w = { .n_held = 0 };

	own_program();
	printf("armed\n");
	(void)fflush(stdout);
	while (n > 0 && access(args[0], F_OK) != 0) {
		each_process(writer_look, &w);
		try_held(w.held, w.n_held);
	}
	printf("foreign programs seen: %u\n", w.seen);
	return 0;
}

/* Checks what a process that is being set up for this container exposes. */
static void
snoop_look(int pid_fd, const char *pid, void *data)
{
	static const char *const links[] = {
		"root", "cwd", "fd/3", "fd/4", "fd/5", "fd/6", "fd/7"
	};
	char name[4096];
	int fd;

	(void)data;
	if (!is_foreign(pid_fd, name, sizeof(name)))
		return;
	fd = openat(pid_fd, "mem", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		printf("mem of %s (%s)\n", pid, name);
		(void)close(fd);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		struct stat own, other;

		fd = openat(pid_fd, links[i], O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (fstat(fd, &other) == 0 && stat("/", &own) == 0 && other.st_dev != own.st_dev)
			printf("%s of %s (%s)\n", links[i], pid, name);
		(void)close(fd);
	}
}

/* Returns whether a cgroup directory allows access to its parent or writing. */
static int
is_cgroup_in_use(int fd)
{
	struct stat own, up;
	int file;

	if (fstat(fd, &own) < 0 || fstatat(fd, "..", &up, 0) < 0)
		return 0;
	if (own.st_ino != up.st_ino)
		return 1;
	file = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (file >= 0)
		(void)close(file);
	return file >= 0;
}

/* Returns whether a fd is a directory or device outside the container's own file systems. The
 * cgroup that the process was cloned into belongs to the container, and must give no access to
 * others. */
static int
is_outside(int fd)
{
	static const char *const inside[] = { "/", "/dev", "/dev/pts", "/proc" };
	struct stat own, other;
	struct statfs fs;

	if (fstat(fd, &other) < 0 || fstatfs(fd, &fs) < 0)
		return 0;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		return is_cgroup_in_use(fd);
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		if (stat(inside[i], &own) == 0 && own.st_dev == other.st_dev)
			return 0;
	}
	return S_ISDIR(other.st_mode) || S_ISCHR(other.st_mode) || S_ISBLK(other.st_mode);
}

static void
snoop_guest(int pid_fd, const char *pid, void *data)
{
	char name[4096], link[16];

	if (!is_foreign(pid_fd, name, sizeof(name)))
		return;
	for (int i = 1; i < 64; i++) {
		int fd;

		/* fds 0 to 2 are the agent's /dev/null or belong to the process. */
		(void)snprintf(link, sizeof(link), "fd/%d", i);
		fd = openat(pid_fd, i == 1 ? "root" : i == 2 ? "cwd" : link, O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_outside(fd))
			printf("%s of %s (%s)\n",
			       i == 1   ? "root"
			       : i == 2 ? "cwd"
					: link,
			       pid, name);
		(void)close(fd);
		(*(unsigned int *)data)++;
	}
}

/* snoop-guest FILE: like snoop, for files of the guest and by a process that may inspect every
 * other. */
int
probe_snoop_guest(int n, char **args)
{
	unsigned int seen = 0;

	own_program();
	printf("armed\n");
	(void)fflush(stdout);
	while (n > 0 && access(args[0], F_OK) != 0)
		each_process(snoop_guest, &seen);
	printf("%s\n", seen ? "done" : "nothing seen");
	return 0;
}

/* snoop FILE: until FILE exists, tries to access other processes of this container that run a
 * foreign program. */
int
probe_snoop(int n, char **args)
{
	own_program();
	printf("armed\n");
	(void)fflush(stdout);
	while (n > 0 && access(args[0], F_OK) != 0)
		each_process(snoop_look, NULL);
	printf("done\n");
	return 0;
}

/* Checks that a node of the device at `path` cannot be opened. The guest's device rules return
 * EPERM; a nodev mount, such as a share, returns EACCES. */
static void
try_node(const char *path, const char *name, dev_t device, int wanted)
{
	int fd;

	(void)unlink(path);
	if (mknod(path, S_IFBLK | 0600, device) < 0)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 || (errno != EPERM && errno != wanted))
		printf("%s at %s: %s\n", name, path, fd >= 0 ? "opened" : strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	(void)unlink(path);
}

/* mknod-all: creates a node for every block device of the kernel, and prints which can be
 * opened. */
int
probe_mknod_all(int n, char **args)
{
	DIR *dir = opendir("/sys/dev/block");
	struct dirent *e;
	unsigned int found = 0;

	(void)n;
	(void)args;
	while (dir && (e = readdir(dir)) != NULL) {
		unsigned int major, minor;

		if (sscanf(e->d_name, "%u:%u", &major, &minor) != 2)
			continue;
		found++;
		try_node("/dev/node", e->d_name, makedev(major, minor), EPERM);
		try_node("/tmp/node", e->d_name, makedev(major, minor), EACCES);
	}
	if (dir)
		(void)closedir(dir);
	printf("%s\n", found ? "looked" : "no block device");
	return 0;
}
