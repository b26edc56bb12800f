/* SPDX-License-Identifier: Apache-2.0 */
/* See faults.h. The test and the answering process communicate through shared memory. */
#include "tests/rpc/faults.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "tests/support/orphan.h"

#define KINDS_MAX 64

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

/* Excluded are calls that cannot fail for lack of a resource (close, munmap, signals), and waits
 * (epoll_wait, futex). */
const struct fault_kind fault_kinds[] = {
	{ "open: too many open files", EMFILE, { __NR_openat } },
	{ "openat2: a rename came between", EAGAIN, { __NR_openat2 } },
	{ "openat2: too many open files", EMFILE, { __NR_openat2 } },
	{ "new descriptors: too many open files",
	  EMFILE,
	  { __NR_socket, __NR_socketpair, __NR_pipe2, __NR_eventfd2, __NR_memfd_create,
	    __NR_pidfd_open, __NR_accept4, __NR_fcntl } },
	{ "epoll_ctl: no watches left", ENOSPC, { __NR_epoll_ctl } },
	{ "new processes: no tasks left", EAGAIN, { __NR_clone3, __NR_clone } },
	{ "execve: no memory", ENOMEM, { __NR_execve, __NR_execveat } },
	{ "mounts: no memory",
	  ENOMEM,
	  { __NR_mount, __NR_fsopen, __NR_fsconfig, __NR_fsmount, __NR_open_tree,
	    __NR_mount_setattr } },
	{ "mounts: the limit is reached", ENOSPC, { __NR_move_mount } },
	{ "umount: busy", EBUSY, { __NR_umount2 } },
	{ "namespaces: the limit is reached", ENOSPC, { __NR_setns, __NR_unshare } },
	{ "new files: no space",
	  ENOSPC,
	  { __NR_mkdirat, __NR_mknodat, __NR_symlinkat, __NR_linkat } },
	{ "rename: no space", ENOSPC, { __NR_renameat2, __NR_renameat } },
	{ "unlink: busy", EBUSY, { __NR_unlinkat } },
	{ "owners and modes: I/O error",
	  EIO,
	  { __NR_fchownat, __NR_fchown, __NR_fchmod, __NR_fchmodat } },
	{ "read: I/O error", EIO, { __NR_read, __NR_pread64, __NR_readv } },
	{ "read: interrupted", EINTR, { __NR_read } },
	{ "write: no space", ENOSPC, { __NR_write, __NR_pwrite64, __NR_writev, __NR_ftruncate } },
	{ "write: interrupted", EINTR, { __NR_write } },
	{ "send: no memory", ENOBUFS, { __NR_sendmsg, __NR_sendto } },
	{ "receive: interrupted", EINTR, { __NR_recvmsg, __NR_recvfrom } },
	{ "poll: interrupted", EINTR, { __NR_ppoll } },
	{ "wait: interrupted", EINTR, { __NR_waitid } },
	{ "directories: I/O error", EIO, { __NR_getdents64 } },
	{ "attributes: no memory",
	  ENOMEM,
	  { __NR_newfstatat, __NR_fstat, __NR_statx, __NR_readlinkat } },
	{ "socket options: no memory", ENOMEM, { __NR_setsockopt, __NR_getsockopt, __NR_bind } },
	{ "credentials: refused",
	  EPERM,
	  { __NR_capset, __NR_setresuid, __NR_setresgid, __NR_setgroups } },
	{ "prctl: no memory", ENOMEM, { __NR_prctl } },
	{ "keys: over the quota", EDQUOT, { __NR_keyctl } },
	{ "filters and programs: no memory", ENOMEM, { __NR_seccomp, __NR_bpf } },
	{ "limits: refused", EPERM, { __NR_prlimit64 } },
	{ "roots and directories: I/O error", EIO, { __NR_pivot_root, __NR_fchdir, __NR_chdir } },
	{ "ioctl: no memory", ENOMEM, { __NR_ioctl } },
	{ FAULT_MEMORY, ENOMEM, { __NR_mmap, __NR_mremap } },
};
const size_t n_fault_kinds = ARRAY_LEN(fault_kinds);

struct faults {
	/* the child's fd; -1: not yet, -2: none */
	atomic_int listener;
	atomic_bool go;
	atomic_bool is_armed, has_failed;
	size_t kind;
	uint64_t k;
	struct fault_hit hit;
	/* inode of the agent's program; other programs are containers' own */
	dev_t dev;
	ino_t ino;
	_Atomic uint64_t seen[KINDS_MAX];
};

struct faults *
faults_new(void)
{
	struct faults *f =
		mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	_Static_assert(ARRAY_LEN(fault_kinds) <= KINDS_MAX, "KINDS_MAX");
	if (f == MAP_FAILED)
		return NULL;
	atomic_store(&f->listener, -1);
	return f;
}

/* ---- the filter ---- */

static size_t
list_calls(int *calls)
{
	size_t n = 0;

	for (size_t i = 0; i < n_fault_kinds; i++) {
		for (size_t j = 0; j < FAULT_CALLS_MAX && (j == 0 || fault_kinds[i].calls[j]);
		     j++) {
			size_t at = 0;

			while (at < n && calls[at] != fault_kinds[i].calls[j])
				at++;
			calls[at] = fault_kinds[i].calls[j];
			n += at == n;
		}
	}
	return n;
}

void
faults_install(struct faults *f)
{
	int calls[KINDS_MAX * FAULT_CALLS_MAX] = { 0 };
	size_t n = list_calls(calls), at = 0;
	struct sock_filter code[256];
	struct sock_fprog program = { .filter = code };

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, arch));
	code[at++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, (uint8_t)(n + 1));
	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < n; i++)
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							  (uint32_t)calls[i], (uint8_t)(n - i), 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	program.len = (unsigned short)at;
	int fd = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
			      SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);

	/* From here on, most calls block until the listener answers: only shared memory reaches
	 * the parent. */
	atomic_store(&f->listener, fd < 0 ? -2 : fd);
	if (fd < 0)
		_exit(126);
	while (!atomic_load(&f->go))
		(void)sched_yield();
	(void)close(fd);
}

/* ---- the listener ---- */

static bool
is_of(const struct fault_kind *kind, const struct seccomp_data *call)
{
	/* Changing an existing registration needs no memory. */
	if (call->nr == __NR_epoll_ctl && call->args[1] != EPOLL_CTL_ADD)
		return false;
	/* Most commands of fcntl need no resource. */
	if (call->nr == __NR_fcntl && call->args[1] != F_DUPFD && call->args[1] != F_DUPFD_CLOEXEC)
		return false;
	for (size_t i = 0; i < FAULT_CALLS_MAX; i++)
		if (kind->calls[i] == call->nr && (i == 0 || call->nr != 0))
			return true;
	return false;
}

/* Returns whether a process runs the agent's program, not a container's. */
static bool
is_ours(const struct faults *f, uint32_t pid)
{
	char path[32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	return stat(path, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino;
}

static void
note_hit(struct faults *f, const struct seccomp_notif *q)
{
	char path[40];

	f->hit.call = q->data.nr;
	f->hit.pid = (pid_t)q->pid;
	(void)snprintf(path, sizeof(path), "/proc/%u/comm", q->pid);
	if (read_text_at(AT_FDCWD, path, f->hit.process, sizeof(f->hit.process)) <= 0)
		f->hit.process[0] = '\0';
	atomic_store(&f->has_failed, true);
}

/* Returns the errno that the call is to fail with, or 0. */
static int
verdict(struct faults *f, const struct seccomp_notif *q)
{
	int errnum = 0;

	if (!atomic_load(&f->is_armed) || !is_ours(f, q->pid))
		return 0;
	for (size_t i = 0; i < n_fault_kinds; i++) {
		if (!is_of(&fault_kinds[i], &q->data))
			continue;
		if (++f->seen[i] == f->k && i == f->kind) {
			note_hit(f, q);
			errnum = fault_kinds[i].errnum;
		}
	}
	return errnum;
}

static _Noreturn void
answer(struct faults *f, int listener)
{
	struct seccomp_notif_sizes sizes;
	struct seccomp_notif *q;
	struct seccomp_notif_resp *r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (syscall(__NR_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		_exit(1);
	q = calloc(1, sizes.seccomp_notif + 64u);
	r = calloc(1, sizes.seccomp_notif_resp + 64u);
	while (q && r) {
		struct pollfd p = { .fd = listener, .events = POLLIN };

		/* no process is left */
		if (poll(&p, 1, -1) > 0 && p.revents & POLLHUP)
			_exit(0);
		memset(q, 0, sizes.seccomp_notif);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, q) < 0)
			continue;
		memset(r, 0, sizes.seccomp_notif_resp);
		r->id = q->id;
		r->error = -verdict(f, q);
		if (r->error == 0)
			r->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, r);
	}
	_exit(1);
}

int
faults_listen(struct faults *f, pid_t child)
{
	auto_close int pidfd = sys_pidfd_open(child, 0);
	auto_close int listener = -1;
	const char *program = getenv("AGENT");
	pid_t suite = getpid(), pid;
	struct stat st;

	while (pidfd >= 0 && atomic_load(&f->listener) == -1)
		(void)sched_yield();
	if (pidfd < 0 || atomic_load(&f->listener) < 0 || !program || stat(program, &st) < 0)
		return -1;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	listener = (int)syscall(__NR_pidfd_getfd, pidfd, atomic_load(&f->listener), 0);
	if (listener < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		die_with_parent(suite);
		answer(f, listener);
	}
	atomic_store(&f->go, true);
	return pid < 0 ? -1 : 0;
}

/* ---- for the test ---- */

void
faults_arm(struct faults *f, size_t kind, uint64_t k)
{
	for (size_t i = 0; i < n_fault_kinds; i++)
		atomic_store(&f->seen[i], 0);
	f->kind = kind;
	f->k = k;
	memset(&f->hit, 0, sizeof(f->hit));
	atomic_store(&f->has_failed, false);
	atomic_store(&f->is_armed, true);
}

bool
faults_disarm(struct faults *f, struct fault_hit *hit)
{
	atomic_store(&f->is_armed, false);
	*hit = f->hit;
	return atomic_load(&f->has_failed);
}

uint64_t
faults_seen(const struct faults *f, size_t kind)
{
	return atomic_load(&f->seen[kind]);
}
