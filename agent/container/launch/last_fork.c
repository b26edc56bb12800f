/* SPDX-License-Identifier: Apache-2.0 */
/* The last fork (last_fork.h). Runs between the wipe and execve, and allocates no memory. */
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

#include "agent/container/hooks/launch.h"
#include "agent/container/launch/handshake.h"
#include "agent/container/launch/init_params.h"
#include "agent/container/launch/program.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"

/* Before a call that does not return, the address sanitizer expects the stack that it knows. */
#define ON_OTHER_STACK __attribute__((no_sanitize_address))

/* Size of the stack of the last two processes, which has no data of the agent. */
#define STACK_SIZE (256u << 10)

#define CLONE_FLAGS (CLONE_PARENT | CLONE_PIDFD | SIGCHLD)

struct forking {
	const struct container_init *e;
	const struct program *program;
	/* For a process that runs hooks; -1: the last process. */
	int go;
	pid_t pid;
	int pidfd, errnum;
};

static uint64_t
last_fork_clone_flags(const struct program *program)
{
	return CLONE_FLAGS | (program->pid ? CLONE_CHILD_SETTID : 0);
}

/* Returns whether the filter allows all remaining steps of the two processes. It is then loaded
 * before the last fork, so that the last process does not need the capability to load it. */
static bool
last_fork_under_filter(const struct container_init *e, const struct program *program)
{
	const struct filter *filter = &program->filter;
	const struct {
		long number;
		uint64_t args[2];
	} calls[] = {
		{ SYS_capset, { 0 } },
		{ SYS_clone, { [SYS_CLONE_FLAGS_ARG] = last_fork_clone_flags(program) } },
		{ SYS_setsid, { 0 } },
		{ SYS_read, { (uint64_t)e->sock } },
		{ SYS_exit, { 0 } },
		{ e->terminal ? SYS_ioctl : SYS_setsid, { 0, TIOCSCTTY } },
		{ program->pid ? SYS_write : SYS_exit, { (uint64_t)e->sock } },
		/* The filter then also applies to the set-up process. */
		{ e->has_entered ? SYS_sendmsg : SYS_exit, { (uint64_t)e->sock } },
		{ e->has_entered ? SYS_exit_group : SYS_exit, { 0 } },
	};

	if (!filter->n || e->no_new_privs)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		if (!filter_allows(filter, calls[i].number, calls[i].args))
			return false;
	}
	return true;
}

/* Runs the last process. It has the container's privileges, and the capability to load the
 * filter if that is still to be done. */
_Noreturn ON_OTHER_STACK static void
last_fork_run(const struct forking *f, bool is_filtered)
{
	const uint32_t running = HANDSHAKE_RUNNING;
	int gate = f->program->go >= 0 ? f->program->go : f->e->gate;
	char byte = 1;

	if (program_make_session(f->e) < 0 || read_full(f->e->sock, &byte, 1) != 1)
		_exit(1);
	if (f->program->pid &&
	    RETRY_EINTR(write(f->e->sock, &running, sizeof(running))) != sizeof(running))
		_exit(1);
	byte = 1;
	if (gate >= 0 && (read_full(gate, &byte, 1) != 1 || (f->program->go >= 0 && !byte)))
		_exit(1);
	program_run(f->e, f->program, is_filtered);
}

/* Runs the process for hooks. */
_Noreturn ON_OTHER_STACK static void
last_fork_run_hooks(const struct forking *f)
{
	struct hook_plan hooks = f->program->hooks;
	const volatile pid_t *pid = f->program->pid;
	char byte;

	(void)setsid();
	/* A child of the set-up process itself still has the extra capability. */
	if ((f->e->has_entered && cap_sets_drop_extra(&f->e->caps) < 0) ||
	    read_full(f->e->gate, &byte, 1) != 1)
		_exit(1);
	/* The kernel wrote the pid when the last process ran for the first time, and the worker
	 * waited for that (HANDSHAKE_RUNNING) before the gate could open. */
	byte = *pid && hook_stage_start_planned(&hooks, *pid, f->e->gate) == 0;
	_exit(write_full(f->go, &byte, 1) < 0);
}

ON_OTHER_STACK static int
last_fork_enter(void *arg)
{
	struct forking *f = arg;
	const struct container_init *e = f->e;
	const struct program *program = f->program;
	const struct filter *filter = &program->filter;
	bool is_last = f->go < 0;
	bool under_filter = is_last && last_fork_under_filter(e, program);
	bool keeps_capability =
		filter->n && !e->no_new_privs && !under_filter && (is_last || e->has_entered);

	if ((e->has_entered || setns(e->pid_ns, CLONE_NEWPID) == 0) &&
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
	    (!under_filter || filter_load(filter) == 0) &&
	    (keeps_capability || cap_sets_drop_extra(&e->caps) == 0)) {
		f->pid =
			is_last ? sys_clone(last_fork_clone_flags(program), &f->pidfd, program->pid)
				: sys_clone(CLONE_FLAGS, &f->pidfd, NULL);
		if (f->pid == 0 && is_last)
			last_fork_run(f, under_filter);
		if (f->pid == 0)
			last_fork_run_hooks(f);
	}
	f->errnum = errno;
	return 0;
}

static pid_t
last_fork_start(struct forking *f, int *pidfd)
{
	char *stack;

	f->pid = f->pidfd = -1;
	/* A child of this process would be created in the pid namespace. */
	if (f->e->has_entered) {
		(void)last_fork_enter(f);
	} else {
		stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
		if (stack == MAP_FAILED ||
		    clone(last_fork_enter, stack + STACK_SIZE,
			  CLONE_VM | CLONE_FILES | CLONE_VFORK | CLONE_PARENT, f) < 0)
			return -1;
	}
	*pidfd = f->pidfd;
	errno = f->errnum;
	return f->pid;
}

pid_t
last_fork_for_hooks(const struct container_init *e, const struct program *program, int go,
		    int *pidfd)
{
	struct forking f = { .e = e, .program = program, .go = go };

	return last_fork_start(&f, pidfd);
}

pid_t
last_fork(const struct container_init *e, const struct program *program, int *pidfd)
{
	struct forking f = { .e = e, .program = program, .go = -1 };

	return last_fork_start(&f, pidfd);
}
