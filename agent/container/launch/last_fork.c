/* SPDX-License-Identifier: Apache-2.0 */
/* See last_fork.h. Between the wipe and execve: nothing here allocates memory. */
#include "agent/container/launch/last_fork.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/launch/container_init.h"
#include "agent/container/launch/program.h"
#include "lib/cleanup.h"
#include "lib/io.h"

/* The address sanitizer looks for the stack that it knows before a call that does not return. */
#define ON_OTHER_STACK __attribute__((no_sanitize_address))

/* The stack of the last two processes. Nothing that was on the agent's is on it. */
#define STACK_SIZE (256u << 10)

#define CLONE_FLAGS (CLONE_PARENT | CLONE_PIDFD | SIGCHLD)

struct forking {
	const struct container_init *e;
	const struct program *program;
	pid_t pid;
	int pidfd, errnum;
};

/* Does the filter let the two processes do what is left to be done? Then it is loaded before the last fork, and the
 * capability that this takes is gone by then. */
static bool
fork_under_filter(const struct container_init *e, const struct filter *filter)
{
	const struct {
		long number;
		uint64_t args[2];
	} calls[] = {
		{ SYS_capset, { 0 } }, { SYS_clone, { CLONE_FLAGS } },
		{ SYS_setsid, { 0 } }, { SYS_read, { (uint64_t)e->sock } },
		{ SYS_exit, { 0 } },   { e->terminal ? SYS_ioctl : SYS_setsid, { 0, TIOCSCTTY } },
	};

	if (!filter->n || e->no_new_privs)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (!filter_allows(filter, calls[i].number, calls[i].args))
			return false;
	}
	return true;
}

/* The last process. It has the container's privileges, unless its filter needs one more to be loaded. */
_Noreturn ON_OTHER_STACK static void
run(const struct forking *f, bool is_filtered)
{
	char byte;

	if (program_make_session(f->e) < 0 || read_full(f->e->sock, &byte, 1) != 1 ||
	    (f->e->gate >= 0 && read_full(f->e->gate, &byte, 1) != 1))
		_exit(1);
	program_run(f->e, f->program, is_filtered);
}

/* clone(2) without another stack. clone3(2) is what filters refuse, since they cannot see its flags. */
static pid_t
fork_here(int *pidfd)
{
#ifdef __s390x__
	return (pid_t)syscall(SYS_clone, NULL, CLONE_FLAGS, pidfd, NULL, NULL);
#else
	return (pid_t)syscall(SYS_clone, CLONE_FLAGS, NULL, pidfd, NULL, NULL);
#endif
}

ON_OTHER_STACK static int
enter_and_fork(void *arg)
{
	struct forking *f = arg;
	const struct container_init *e = f->e;
	const struct filter *filter = &f->program->filter;
	bool under_filter = fork_under_filter(e, filter);
	bool keeps_capability = filter->n && !e->no_new_privs && !under_filter;

	if (setns(e->pid_ns, CLONE_NEWPID) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
	    (!under_filter || filter_load(filter) == 0) &&
	    (keeps_capability || cap_sets_drop_extra(&e->caps) == 0)) {
		f->pid = fork_here(&f->pidfd);
		if (f->pid == 0)
			run(f, under_filter);
	}
	f->errnum = errno;
	return 0;
}

pid_t
last_fork(const struct container_init *e, const struct program *program, int *pidfd)
{
	struct forking f = { .e = e, .program = program, .pid = -1, .pidfd = -1 };
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -1;
	if (clone(enter_and_fork, stack + STACK_SIZE,
		  CLONE_VM | CLONE_FILES | CLONE_VFORK | CLONE_PARENT, &f) < 0)
		return -1;
	*pidfd = f.pidfd;
	errno = f.errnum;
	return f.pid;
}
