/* SPDX-License-Identifier: Apache-2.0 */
/*
 * with-clone3 PROGRAM [ARGUMENT...]: runs an emulator of programs of another architecture, and lets
 * these call clone3(2) (clone3.h). Runs on x86_64. The exit status is that of PROGRAM, or 128 and
 * its signal; processes that it leaves behind are killed.
 *
 * A seccomp filter stops the emulator at lseek(2) of the two descriptors and at clone(2) only.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cross/clone3.h"

#define OPTIONS                                                                               \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | \
	 PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD)
/* An error that the kernel keeps from programs. */
#define ERESTARTNOINTR 513
/* Below what the emulator has on its stack, and the 128 bytes that it may use without moving the
 * stack's pointer. */
#define SCRATCH_BELOW 1024
#define THREADS_MAX   4096

/* Written to the stack of the emulator, of which a new process has a copy. */
struct scratch {
	struct clone_args args;
	int pidfd, unused;
	uint64_t rdi, rsi;
};

/* A thread that has announced a clone3(2), until it has fetched the pidfd. */
struct thread {
	pid_t tid;
	bool is_announced, is_cloning;
	uint64_t flags;
	int signal, cgroup, pidfd;
};

static struct thread threads[THREADS_MAX];

static void reset_signals(void);
static void start(char **argv, int go);
static int trace(pid_t main_pid);
static int stopped(pid_t tid, int status);
static int stopped_by_filter(pid_t tid);
static void rewrite(struct thread *t, struct user_regs_struct *regs);
static void restore(pid_t tid);

static void
fail(const char *what)
{
	perror(what);
	exit(125);
}

int
main(int argc, char **argv)
{
	int go[2];
	pid_t pid;

	if (argc < 2) {
		(void)fprintf(stderr, "usage: with-clone3 PROGRAM [ARGUMENT...]\n");
		return 125;
	}
	if (pipe(go) < 0)
		fail("pipe");
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0) {
		(void)close(go[1]);
		start(argv + 1, go[0]);
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close(go[0]);
	if (ptrace(PTRACE_SEIZE, pid, NULL, OPTIONS) < 0)
		fail("ptrace");
	if (write(go[1], "", 1) != 1)
		fail("write");
	(void)close(go[1]);
	return trace(pid);
}

/* Sets every signal to its default. A program that posix_spawn(3) of glibc started (as make does)
 * ignores the two that glibc itself uses, 32 and 33, and glibc's sigaction(3) refuses to set them.
 * The emulated program cannot either: the emulator gives it other numbers. */
static void
reset_signals(void)
{
	/* struct sigaction of the kernel: SIG_DFL, no flags, no mask */
	const uint64_t action[4] = { 0 };

	for (int sig = 1; sig <= 64; sig++)
		(void)syscall(SYS_rt_sigaction, sig, action, NULL, sizeof(uint64_t));
}

static void
start(char **argv, int go)
{
	enum {
		LOW = offsetof(struct seccomp_data, args[0]),
	};
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_lseek, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLONE3_ANNOUNCE, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLONE3_PIDFD, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
	};
	struct sock_fprog filter = { .len = sizeof(rows) / sizeof(rows[0]), .filter = rows };
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(125);
	(void)close(go);
	reset_signals();
	/* Without privileges a filter must be one that no program gains any by. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0))
		fail("seccomp");
	(void)execvp(argv[0], argv);
	fail(argv[0]);
}

static int
trace(pid_t main_pid)
{
	int status;

	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);

		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			fail("waitpid");
		if (WIFSTOPPED(status)) {
			int request = stopped(tid, status);
			int sig = request == PTRACE_CONT && !(status >> 16) &&
						  WSTOPSIG(status) != (SIGTRAP | 0x80)
					  ? WSTOPSIG(status)
					  : 0;

			/* It may have been killed. */
			(void)ptrace((enum __ptrace_request)request, tid, NULL, sig);
			continue;
		}
		if (tid == main_pid)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		for (size_t i = 0; i < THREADS_MAX; i++) {
			if (threads[i].tid == tid)
				threads[i].tid = 0;
		}
	}
}

/* Returns the entry of a thread, which is new if `make`. */
static struct thread *
thread_of(pid_t tid, bool make)
{
	struct thread *unused = NULL;

	for (size_t i = 0; i < THREADS_MAX; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
		if (threads[i].tid == 0 && !unused)
			unused = &threads[i];
	}
	if (!make)
		return NULL;
	if (!unused) {
		errno = ENOSPC;
		fail("threads");
	}
	*unused = (struct thread){ .tid = tid, .pidfd = -1 };
	return unused;
}

/* Handles a stop. Returns the request that lets the thread go on. */
static int
stopped(pid_t tid, int status)
{
	struct thread *t;

	switch (status >> 16) {
	case PTRACE_EVENT_SECCOMP:
		return stopped_by_filter(tid);
	case PTRACE_EVENT_CLONE:
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		t = thread_of(tid, false);
		return t && t->is_cloning ? PTRACE_SYSCALL : PTRACE_CONT;
	case PTRACE_EVENT_STOP:
		/* A new process, or a stop signal for all its threads. */
		if (WSTOPSIG(status) != SIGTRAP)
			return PTRACE_LISTEN;
		restore(tid);
		return PTRACE_CONT;
	default:
		break;
	}
	if (WSTOPSIG(status) == (SIGTRAP | 0x80))
		restore(tid);
	return PTRACE_CONT;
}

static int
stopped_by_filter(pid_t tid)
{
	struct user_regs_struct regs;
	struct thread *t;
	uint32_t fd;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0)
		return PTRACE_CONT;
	t = thread_of(tid, regs.orig_rax == SYS_lseek);
	if (regs.orig_rax == SYS_clone) {
		if (!t || !t->is_announced || regs.rdi & CLONE_VM)
			return PTRACE_CONT;
		rewrite(t, &regs);
		return PTRACE_SYSCALL;
	}
	fd = (uint32_t)regs.rdi;
	regs.rax = 0;
	if (fd == CLONE3_ANNOUNCE) {
		t->is_announced = true;
		t->flags = regs.rsi;
		t->signal = CLONE3_SIGNAL((int)regs.rdx);
		t->cgroup = CLONE3_CGROUP((int)regs.rdx);
		t->pidfd = -1;
	} else {
		regs.rax = (unsigned long long)t->pidfd;
		t->tid = 0;
	}
	/* The call is not made; its result is that of rax. */
	regs.orig_rax = (unsigned long long)-1;
	(void)ptrace(PTRACE_SETREGS, tid, NULL, &regs);
	return PTRACE_CONT;
}

static bool
put(pid_t tid, uint64_t at, const void *bytes, size_t n)
{
	uint64_t word;

	for (size_t i = 0; i < n; i += sizeof(word)) {
		memcpy(&word, (const char *)bytes + i, sizeof(word));
		if (ptrace(PTRACE_POKEDATA, tid, at + i, word) < 0)
			return false;
	}
	return true;
}

static bool
get(pid_t tid, uint64_t at, void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i += sizeof(long)) {
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, tid, at + i, NULL);
		if (errno)
			return false;
		memcpy((char *)bytes + i, &word, sizeof(word));
	}
	return true;
}

static uint64_t
scratch_at(const struct user_regs_struct *regs)
{
	return (regs->rsp - SCRATCH_BELOW) & ~(uint64_t)15;
}

/* Makes clone3(2) of clone(2). */
static void
rewrite(struct thread *t, struct user_regs_struct *regs)
{
	/* Flags of the fork by the emulator's C library. */
	uint64_t own = regs->rdi & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID);
	uint64_t at = scratch_at(regs);
	struct scratch s = {
		.args = {
			.flags = t->flags | own,
			.child_tid = regs->r10,
			.exit_signal = (uint64_t)t->signal,
			.pidfd = at + offsetof(struct scratch, pidfd),
			.cgroup = (uint64_t)t->cgroup,
		},
		.pidfd = -1,
		.rdi = regs->rdi,
		.rsi = regs->rsi,
	};

	t->is_announced = false;
	if (!put(t->tid, at, &s, sizeof(s)))
		return;
	regs->orig_rax = SYS_clone3;
	regs->rdi = at;
	regs->rsi = sizeof(s.args);
	t->is_cloning = ptrace(PTRACE_SETREGS, t->tid, NULL, regs) == 0;
}

/* Gives the registers back that rewrite() has changed, in both processes, and keeps the pidfd. */
static void
restore(pid_t tid)
{
	struct thread *t = thread_of(tid, false);
	struct user_regs_struct regs;
	struct scratch s;
	bool is_repeated;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0 || regs.orig_rax != SYS_clone3 ||
	    regs.rdi != scratch_at(&regs) || regs.rsi != sizeof(s.args) ||
	    !get(tid, regs.rdi, &s, sizeof(s)))
		return;
	regs.rdi = s.rdi;
	regs.rsi = s.rsi;
	/* A call that a signal interrupts is made again, as what it was. */
	is_repeated = (long)regs.rax == -ERESTARTNOINTR;
	regs.orig_rax = SYS_clone;
	(void)ptrace(PTRACE_SETREGS, tid, NULL, &regs);
	if (t) {
		t->is_cloning = false;
		t->is_announced = is_repeated;
		t->pidfd = s.pidfd;
	}
}
