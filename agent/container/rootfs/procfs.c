/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of a procfs for another pid namespace (procfs.h). The opener allocates no memory after
 * the wipe. */
#include "agent/container/rootfs/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/rootfs/mounts.h"
#include "agent/container/rootfs/shared_mounts.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/wipe.h"

#ifndef SYS_fsopen
#define SYS_fsopen 430
#endif

#define OPENER_STACK (64u << 10)

/* The namespaces of the pid namespace's owner that the opener joins. The processes that may
 * trace it are in them already. */
#define OWNER_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP)

/* The opener's descriptors: the socket is 0, the contexts follow. */
#define OPENER_SOCK 0

struct opener {
	int pid_ns, owner, sock;
	size_t n;
	int errnum;
	char *stack;
	const struct wipe *wipe;
};

static bool procfs_is_plain(const Grpc__Mount *spec);
static int procfs_run_opener(struct opener *o, int cgroup_fd, struct procfs *out,
			     struct error *err);
__attribute__((no_sanitize_address)) static int opener_open(void *arg);
_Noreturn static void opener_run(struct opener *o);
static int opener_limit(void);
static int procfs_receive(int sock, struct procfs *out, size_t n, struct error *err);
static bool procfs_is_of(int fd, int pid_ns);

int
procfs_open(const struct launch *l, int pid_ns, int cgroup_fd, struct procfs *out,
	    struct error *err)
{
	struct opener o = { .pid_ns = pid_ns, .owner = l->pidns_owner, .sock = -1 };
	struct error why = ERROR_INIT;
	size_t n_plain = 0;
	struct wipe wipe;
	int result;

	*out = (struct procfs){ .pid_ns = pid_ns };
	for (size_t i = 0; i < l->spec->n_mounts; i++) {
		if (strcmp(l->spec->mounts[i]->type, "proc") != 0)
			continue;
		if (procfs_is_plain(l->spec->mounts[i]))
			n_plain++;
		else
			o.n++;
	}
	out->copies = calloc(n_plain + 1, sizeof(*out->copies));
	out->contexts = calloc(n_plain + o.n + 1, sizeof(*out->contexts));
	if (!out->copies || !out->contexts)
		return error_nomem(err, "opening a procfs");
	/* The owner may have no procfs, or may have replaced it. */
	if (n_plain && shared_procfs(l, out->copies, n_plain, &why) < 0)
		o.n += n_plain;
	else
		out->n_copies = n_plain;
	if (!o.n)
		return 0;
	o.wipe = &wipe;
	if (wipe_plan(l->roots->proc, &wipe, err) < 0)
		return -1;
	/* Allocated after the wipe was planned, so that the wipe does not clear it. */
	o.stack = mmap(NULL, OPENER_STACK, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (o.stack == MAP_FAILED)
		return error_nomem(err, "opening a procfs");
	result = procfs_run_opener(&o, cgroup_fd, out, err);
	(void)munmap(o.stack, OPENER_STACK);
	return result;
}

/* Returns whether the mount has no options of the file system. A copy shares its superblock with
 * the owner's procfs, so such options would apply to both. */
static bool
procfs_is_plain(const Grpc__Mount *spec)
{
	for (size_t i = 0; i < spec->n_options; i++) {
		if (strchr(spec->options[i], '='))
			return false;
	}
	return true;
}

static int
procfs_run_opener(struct opener *o, int cgroup_fd, struct procfs *out, struct error *err)
{
	struct clone_args args = {
		.flags = cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
	};
	int pair[2], result;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "failed to create a socket pair");
	o->sock = pair[1];
	pid = sys_clone3(&args);
	if (pid == 0)
		opener_run(o);
	if (pid < 0)
		error_sys(err, "failed to clone the opener process");
	(void)close(pair[1]);
	result = pid < 0 ? -1 : procfs_receive(pair[0], out, o->n, err);
	(void)close(pair[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return result;
}

/* Drops all capabilities except CAP_SYS_ADMIN, which fsopen(2) requires. */
static int
opener_drop(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { { .effective = 1u << CAP_SYS_ADMIN,
						    .permitted = 1u << CAP_SYS_ADMIN } };

	return (int)syscall(SYS_capset, &head, sets);
}

/* Opens the contexts, in the pid namespace. The exit status is not used: errnum is the result. */
__attribute__((no_sanitize_address)) static int
opener_open(void *arg)
{
	struct opener *o = arg;

	for (size_t i = 0; i < o->n; i++) {
		if (sys_fsopen("proc", FSOPEN_CLOEXEC) != OPENER_SOCK + 1 + (int)i) {
			o->errnum = errno;
			return 1;
		}
	}
	o->errnum = 0;
	return 0;
}

_Noreturn static void
opener_run(struct opener *o)
{
	o->errnum = ECANCELED;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setns(o->pid_ns, CLONE_NEWPID) < 0 ||
	    setns(o->owner, OWNER_NAMESPACES) < 0)
		o->errnum = errno;
	if (dup3(o->sock, OPENER_SOCK, O_CLOEXEC) < 0 ||
	    sys_close_range(OPENER_SOCK + 1, ~0u, 0) < 0)
		_exit(1);
	wipe_apply(o->wipe);
	if (o->errnum == ECANCELED &&
	    (opener_drop() < 0 || opener_limit() < 0 ||
	     clone(opener_open, o->stack + OPENER_STACK,
		   CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, o) < 0))
		o->errnum = errno;
	for (size_t i = 0; i < o->n; i++) {
		int fd = OPENER_SOCK + 1 + (int)i;

		if (send_msg(OPENER_SOCK, &o->errnum, sizeof(o->errnum), &fd, o->errnum ? 0 : 1,
			     0) < 0)
			_exit(1);
	}
	_exit(0);
}

/* Installs a filter that kills the opener on any system call that it does not need, in case it
 * is traced. */
static int
opener_limit(void)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsopen, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = ARRAY_LEN(insns), .filter = insns };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static int
procfs_receive(int sock, struct procfs *out, size_t n, struct error *err)
{
	while (out->n < n) {
		int errnum = 0, fds[IO_FDS_MAX];
		size_t n_fds = 0;
		ssize_t size = recv_msg(sock, &errnum, sizeof(errnum), fds, &n_fds, 0);

		if (size == sizeof(errnum) && !errnum && n_fds == 1) {
			out->contexts[out->n++] = fds[0];
			continue;
		}
		for (size_t i = 0; i < n_fds; i++)
			(void)close(fds[i]);
		if (size != sizeof(errnum))
			return error_set(
				err, ERROR_INTERNAL,
				"failed to open a procfs: the opener process exited unexpectedly");
		errno = errnum;
		return error_sys(err, "failed to open a procfs of the pid namespace");
	}
	return 0;
}

int
procfs_mount(struct procfs *procfs, const Grpc__Mount *spec, const char *label, uint64_t attrs,
	     struct error *err)
{
	auto_close int context = -1;
	auto_close int fd = -1;

	if (procfs->n_copies && procfs_is_plain(spec))
		return procfs->copies[--procfs->n_copies];
	if (!procfs->n)
		return error_set(err, ERROR_INTERNAL,
				 "failed to mount a procfs: no context is left");
	context = procfs->contexts[--procfs->n];
	fd = mount_context(context, "proc", spec, label, attrs, err);
	if (fd < 0)
		return -1;
	if (!procfs_is_of(fd, procfs->pid_ns))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "the opened file system is not a procfs of the pid namespace");
	return steal_fd(&fd);
}

/* Returns whether `fd` is a procfs of the pid namespace. */
static bool
procfs_is_of(int fd, int pid_ns)
{
	struct stat first, ns;

	return fd_is_fstype(fd, PROC_SUPER_MAGIC) && fstatat(fd, "1/ns/pid", &first, 0) == 0 &&
	       fstat(pid_ns, &ns) == 0 && first.st_dev == ns.st_dev && first.st_ino == ns.st_ino;
}

void
procfs_release(struct procfs *procfs)
{
	while (procfs->n > 0)
		close_fd(&procfs->contexts[--procfs->n]);
	while (procfs->n_copies > 0)
		close_fd(&procfs->copies[--procfs->n_copies]);
	free(procfs->contexts);
	free(procfs->copies);
	procfs->contexts = procfs->copies = NULL;
}
