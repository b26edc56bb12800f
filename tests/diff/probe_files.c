/* SPDX-License-Identifier: Apache-2.0 */
/* The probe's part about files (mounts, devices, root, cgroup) and about allowed system calls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

#define MOUNTS_MAX 256

struct mounted {
	int id, parent, depth;
	char *line;
};

static int
by_depth(const void *a, const void *b)
{
	const struct mounted *x = a, *y = b;

	return x->depth != y->depth ? x->depth - y->depth : x->id - y->id;
}

/* Prints a line "36 35 98:0 /root /target options shared:1 ... - type source super" without the
 * numbers that vary between runs. */
static void
say_mount(char *line)
{
	char root[4096], target[4096], options[512], type[64], source[4096], super[4096];
	char *rest = strstr(line, " - "), *p, key[4200], tags[128] = "";
	int at = 0;

	line[strcspn(line, "\n")] = '\0';
	if (!rest ||
	    sscanf(line, "%*d %*d %*s %4095s %4095s %511s %n", root, target, options, &at) < 3 ||
	    sscanf(rest, " - %63s %4095s %4095s", type, source, super) != 3)
		return;
	/* Print shared or slave without the peer group. */
	for (p = line + at; p < rest; p += strcspn(p, " ") + 1)
		(void)snprintf(tags + strlen(tags), sizeof(tags) - strlen(tags), "%.*s ",
			       (int)strcspn(p, ": "), p);
	(void)snprintf(key, sizeof(key), "mount %s", target);
	say(key, "%s %s %s %s%s %s", type, source, root, tags, options, super);
}

/* Prints the mounts in stacking order: the kernel lists them in the order of their creation. */
void
probe_mounts(void)
{
	static struct mounted list[MOUNTS_MAX];
	static char line[16384];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	int n = 0;

	if (!f) {
		say("mounts", "(%s)", strerror(errno));
		return;
	}
	while (n < MOUNTS_MAX && fgets(line, sizeof(line), f))
		if (sscanf(line, "%d %d", &list[n].id, &list[n].parent) == 2 &&
		    (list[n].line = strdup(line)) != NULL)
			n++;
	(void)fclose(f);
	for (int i = 0; i < n; i++)
		for (int up = list[i].parent, k = 0; k < n; k++)
			if (list[k].id == up && list[i].depth < n) {
				list[i].depth++;
				up = list[k].parent;
				k = -1;
			}
	qsort(list, (size_t)n, sizeof(list[0]), by_depth);
	for (int i = 0; i < n; i++)
		say_mount(list[i].line);
}

static void
describe(const char *key, const char *path)
{
	char link[PATH_MAX] = "";
	struct stat st;

	if (lstat(path, &st) < 0) {
		say(key, "(%s)", strerror(errno));
		return;
	}
	if (S_ISLNK(st.st_mode)) {
		ssize_t n = readlink(path, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		say(key, "link to %s %u:%u", link, st.st_uid, st.st_gid);
	} else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
		say(key, "%o %u:%u number %u:%u", st.st_mode, st.st_uid, st.st_gid,
		    major(st.st_rdev), minor(st.st_rdev));
	} else {
		say(key, "%o %u:%u", st.st_mode, st.st_uid, st.st_gid);
	}
}

/* Lists everything below dir, sorted, across file systems, except synthetic files of the kernel. */
static void
walk(const char *word, const char *dir, int depth)
{
	static const char *const skipped[] = { "/proc", "/sys",     "/dev",
					       "/bin",  "/dev/pts", "/dev/shm" };
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		char path[PATH_MAX], key[PATH_MAX + 32];
		struct stat st;
		int is_skipped = 0;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			(void)snprintf(path, sizeof(path), "%s/%s", strcmp(dir, "/") ? dir : "",
				       name);
			(void)snprintf(key, sizeof(key), "%s %s", word, path);
			describe(key, path);
			for (size_t k = 0; k < COUNT(skipped); k++)
				is_skipped |= strcmp(path, skipped[k]) == 0;
			if (!is_skipped && depth > 0 && lstat(path, &st) == 0 &&
			    S_ISDIR(st.st_mode))
				walk(word, path, depth - 1);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

void
probe_tree(void)
{
	describe("tree /", "/");
	describe("tree /proc", "/proc");
	describe("tree /sys", "/sys");
	walk("tree", "/", 4);
}

/* Prints the accesses that the device rules allow, with nodes created here and those of /dev. */
void
probe_devices(void)
{
	static const struct {
		const char *name;
		mode_t type;
		unsigned int major, minor;
	} list[] = {
		{ "null", S_IFCHR, 1, 3 },    { "mem", S_IFCHR, 1, 1 },
		{ "kmsg", S_IFCHR, 1, 11 },   { "fuse", S_IFCHR, 10, 229 },
		{ "tty", S_IFCHR, 5, 0 },     { "ptmx", S_IFCHR, 5, 2 },
		{ "loop0", S_IFBLK, 7, 0 },   { "vda", S_IFBLK, 254, 0 },
		{ "tun", S_IFCHR, 10, 200 },  { "urandom", S_IFCHR, 1, 9 },
		{ "console", S_IFCHR, 5, 1 },
	};

	walk("dev", "/dev", 2);
	for (size_t i = 0; i < COUNT(list); i++) {
		const char *path = "/tmp/probe-node";
		char key[64];
		static const int modes[] = { O_RDONLY, O_WRONLY };

		(void)snprintf(key, sizeof(key), "mknod %s", list[i].name);
		if (mknod(path, list[i].type | 0666, makedev(list[i].major, list[i].minor)) < 0) {
			say(key, "%s", strerror(errno));
			continue;
		}
		say(key, "ok");
		for (size_t m = 0; m < COUNT(modes); m++) {
			int fd = open(path, modes[m] | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

			(void)snprintf(key, sizeof(key), "open %s %s", list[i].name,
				       m ? "write" : "read");
			say(key, "%s", outcome(fd));
			if (fd >= 0)
				(void)close(fd);
		}
		(void)unlink(path);
	}
}

void
probe_cgroup(void)
{
	static const char *const files[] = {
		"cgroup.type",
		"cgroup.max.depth",
		"cgroup.max.descendants",
		"cgroup.freeze",
		"cgroup.subtree_control",
		"cgroup.controllers",
		"cpu.max",
		"cpu.max.burst",
		"cpu.weight",
		"cpu.idle",
		"cpu.uclamp.min",
		"cpuset.cpus",
		"cpuset.mems",
		"cpuset.cpus.effective",
		"cpuset.cpus.partition",
		"memory.max",
		"memory.high",
		"memory.low",
		"memory.min",
		"memory.swap.max",
		"memory.swap.high",
		"memory.oom.group",
		"memory.zswap.max",
		"pids.max",
		"io.max",
		"io.weight",
		"io.bfq.weight",
		"hugetlb.2MB.max",
		"hugetlb.2MB.rsvd.max",
		"hugetlb.1GB.max",
		"hugetlb.1GB.rsvd.max",
		"rdma.max",
	};
	struct stat st;

	if (stat("/sys/fs/cgroup/cgroup.procs", &st) < 0)
		return;
	describe("cgroup root", "/sys/fs/cgroup");
	for (size_t i = 0; i < COUNT(files); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", files[i]);
		if (access(path, F_OK) == 0)
			say_file(files[i], path);
	}
	say("cgroup write", "%s", outcome(mkdir("/sys/fs/cgroup/probe", 0755)));
	(void)rmdir("/sys/fs/cgroup/probe");
}

void
probe_path(const char *path)
{
	char key[PATH_MAX + 16], name[PATH_MAX + 16];
	struct stat st;
	int entries = 0, fd;

	(void)snprintf(key, sizeof(key), "path %s", path);
	if (stat(path, &st) < 0) {
		say(key, "(%s)", strerror(errno));
		return;
	}
	if (S_ISDIR(st.st_mode)) {
		DIR *dir = opendir(path);

		while (dir && readdir(dir))
			entries++;
		if (dir)
			(void)closedir(dir);
		(void)snprintf(name, sizeof(name), "%s/probe-dir", path);
		say(key, "directory %o %u:%u, %s, mkdir: %s", st.st_mode, st.st_uid, st.st_gid,
		    entries > 2 ? "full" : "empty", outcome(mkdir(name, 0700)));
		(void)rmdir(name);
		return;
	}
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	say(key, "file %o %u:%u number %u:%u, write: %s", st.st_mode, st.st_uid, st.st_gid,
	    major(st.st_rdev), minor(st.st_rdev), outcome(fd));
	if (fd >= 0)
		(void)close(fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	(void)snprintf(key, sizeof(key), "content %s", path);
	say(key, "%s", fd < 0 ? strerror(errno) : read(fd, name, 1) > 0 ? "some" : "none");
	if (fd >= 0)
		(void)close(fd);
}

/* Calls with invalid arguments, which have no effect where they are allowed. The error shows
 * whether seccomp or the kernel refused. */
void
probe_syscalls(void)
{
	static const struct {
		const char *name;
		long number, a, b, c, d;
	} list[] = {
		{ "acct", SYS_acct, 1, 0, 0, 0 },
		{ "add_key", SYS_add_key, 0, 0, 0, 0 },
		{ "bpf", SYS_bpf, -1, 0, 0, 0 },
		{ "chroot", SYS_chroot, 1, 0, 0, 0 },
		{ "clone3", SYS_clone3, 0, 0, 0, 0 },
		{ "delete_module", SYS_delete_module, 1, 0, 0, 0 },
		{ "finit_module", SYS_finit_module, -1, 0, 0, 0 },
		{ "fsopen", SYS_fsopen, 0, 0, 0, 0 },
		{ "io_uring_setup", SYS_io_uring_setup, 0, 0, 0, 0 },
		{ "iopl", SYS_iopl, 4, 0, 0, 0 },
		{ "kcmp", SYS_kcmp, -1, -1, 0, 0 },
		{ "kexec_load", SYS_kexec_load, 0, 100, 0, 0 },
		/* the session keyring, without creating one */
		{ "keyctl", SYS_keyctl, 0, -3, 0, 0 },
		{ "mount", SYS_mount, 1, 1, 1, 0 },
		{ "mount_setattr", SYS_mount_setattr, -1, 1, 0, 0 },
		{ "move_pages", SYS_move_pages, -1, 0, 0, 0 },
		{ "open_by_handle_at", SYS_open_by_handle_at, -1, 1, 0, 0 },
		{ "perf_event_open", SYS_perf_event_open, 1, 0, 0, 0 },
		{ "personality", SYS_personality, 0xffffffff, 0, 0, 0 },
		{ "pidfd_getfd", SYS_pidfd_getfd, -1, 0, 0, 0 },
		{ "pivot_root", SYS_pivot_root, 1, 1, 0, 0 },
		{ "process_vm_readv", SYS_process_vm_readv, -1, 0, 0, 0 },
		{ "ptrace", SYS_ptrace, 16, -1, 0, 0 },
		{ "quotactl", SYS_quotactl, -1, 0, 0, 0 },
		{ "reboot", SYS_reboot, 1, 0, 0, 0 },
		{ "setdomainname", SYS_setdomainname, 0, -1, 0, 0 },
		{ "setns", SYS_setns, -1, 0, 0, 0 },
		{ "settimeofday", SYS_settimeofday, 1, 0, 0, 0 },
		{ "socket packet", SYS_socket, AF_PACKET, SOCK_STREAM, 0, 0 },
		{ "socket vsock", SYS_socket, 40, SOCK_STREAM, -1, 0 },
		{ "swapon", SYS_swapon, 1, 0, 0, 0 },
		{ "syslog", SYS_syslog, 10, 0, 0, 0 },
		{ "umount2", SYS_umount2, 1, 0x40000000, 0, 0 },
		{ "unshare", SYS_unshare, 0, 0, 0, 0 },
		{ "userfaultfd", SYS_userfaultfd, -1, 0, 0, 0 },
		{ "getcpu", SYS_getcpu, 0, 0, 0, 0 },
		{ "getppid", SYS_getppid, 0, 0, 0, 0 },
		{ "sched_yield", SYS_sched_yield, 0, 0, 0, 0 },
		{ "setpriority", SYS_setpriority, 7, 0, 0, 0 },
		{ "times", SYS_times, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < COUNT(list); i++) {
		char key[64];

		(void)snprintf(key, sizeof(key), "call %s", list[i].name);
		say(key, "%s",
		    outcome(syscall(list[i].number, list[i].a, list[i].b, list[i].c, list[i].d)));
	}
}
