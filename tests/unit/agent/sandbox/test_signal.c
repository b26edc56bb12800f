/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGTERM to the init of a pid namespace, which the kernel drops unless the init handles or blocks
 * it. With real processes: those that handle the signal must get it, however they wait for it; the
 * others must be ended by SIGKILL.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/sandbox/sandbox_internal.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "tests/support/check.h"

static struct roots roots;
static struct sandbox *s;
static struct container *c;

static void
begin(void)
{
	Grpc__Spec spec = GRPC__SPEC__INIT;
	struct sandbox_parts parts = { .roots = &roots };
	struct error err = ERROR_INIT;

	roots.cgroup = -1;
	roots.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(roots.proc, 0);
	parts.loop = loop_new(&err);
	s = sandbox_new(&parts, &err);
	REQUIRE(s && parts.loop);
	c = container_new(parts.loop, "web", &spec, &err);
	REQUIRE(c, "%s", err.msg);
}

static void
finish(void)
{
	struct loop *loop = s->parts.loop;

	container_free(c);
	sandbox_free(s);
	loop_free(loop);
	close_fd(&roots.proc);
}

TestSuite(signal, .init = begin, .fini = finish);

static void
block_sigterm(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(how, &set, NULL);
}

static void
unblock(void)
{
	block_sigterm(SIG_UNBLOCK);
}

/* Exits in an orderly way: unblocks the signal first. */
_Noreturn static void
end_in_order(void)
{
	unblock();
	(void)poll(NULL, 0, 300);
	_exit(0);
}

/* Waits for a signal, at most ms at a time (0: no limit). */
static void
wait_for_signal(int sig, int ms)
{
	struct timespec timeout = { .tv_nsec = ms * 1000000L };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	while (sigtimedwait(&set, NULL, ms ? &timeout : NULL) != sig)
		continue;
}

static void
init_sleeps(void)
{
	for (;;)
		(void)pause();
}

static void
init_runs(void)
{
	for (;;)
		__asm__ volatile("");
}

static void
init_blocks_for_a_moment(void)
{
	(void)poll(NULL, 0, 20);
	unblock();
	init_sleeps();
}

static void
init_waits_in_sigwait(void)
{
	wait_for_signal(SIGTERM, 0);
	end_in_order();
}

static void
init_waits_in_short_turns(void)
{
	wait_for_signal(SIGTERM, 1);
	end_in_order();
}

static void
init_waits_for_another_signal(void)
{
	unblock();
	wait_for_signal(SIGUSR1, 0);
	end_in_order();
}

static void
init_reads_signalfd(void)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	(void)!read(fd, &info, sizeof(info));
	end_in_order();
}

static volatile sig_atomic_t got_term;

static void
on_term(int sig)
{
	(void)sig;
	got_term = 1;
}

static void
init_waits_in_ppoll(void)
{
	sigset_t none;

	(void)signal(SIGTERM, on_term);
	sigemptyset(&none);
	while (!got_term)
		(void)ppoll(NULL, 0, NULL, &none);
	end_in_order();
}

/* A thread that also shares the C library's thread data with its creator, so it makes only system
 * calls. */
static int
thread_waits(void *arg)
{
	(void)arg;
	block_sigterm(SIG_BLOCK);
	wait_for_signal(SIGTERM, 0);
	(void)poll(NULL, 0, 300);
	(void)syscall(SYS_exit_group, 0);
	return 0;
}

static void
start_thread(void)
{
	static char stack[256 << 10] __attribute__((aligned(16)));

	(void)clone(thread_waits, stack + sizeof(stack),
		    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			    CLONE_SYSVSEM,
		    NULL);
	(void)poll(NULL, 0, 50);
}

static void
init_has_a_thread_that_waits(void)
{
	start_thread();
	init_sleeps();
}

static void
init_unblocks_beside_a_thread_that_waits(void)
{
	start_thread();
	unblock();
	init_sleeps();
}

/* Starts the init of a pid namespace, or an ordinary process, with SIGTERM blocked. */
static void
start_process(uint64_t flags, void (*run)(void))
{
	struct clone_args args = { .flags = flags | CLONE_PIDFD, .exit_signal = SIGCHLD };
	int ready[2], pidfd = -1;
	char byte;

	REQUIRE_EQ(pipe2(ready, O_CLOEXEC), 0);
	args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	c->init->pid = sys_clone3(&args);
	if (c->init->pid == 0) {
		/* A test that fails leaves nothing that runs. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		block_sigterm(SIG_BLOCK);
		(void)!write(ready[1], "", 1);
		run();
		_exit(1);
	}
	if (c->init->pid < 0 && errno == EPERM && geteuid() != 0)
		cr_skip_test("a new pid namespace needs root");
	REQUIRE_GT(c->init->pid, 0, "clone: %s", strerror(errno));
	c->init->pidfd = pidfd;
	REQUIRE_EQ(read_full(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* Runs the loop until the process has ended. Returns its status, or -1 if it is still alive after a
 * while. */
static int
run_until_end(int ms)
{
	uint64_t end = deadline_in((uint64_t)ms);
	struct error err = ERROR_INIT;
	int status;

	while (!deadline_is_over(end)) {
		if (waitpid(c->init->pid, &status, WNOHANG) == c->init->pid)
			return status;
		REQUIRE_GE(loop_run_once(s->parts.loop, 5, &err), 0, "%s", err.msg);
	}
	return -1;
}

/* Sends SIGTERM when the process is in the state of `run`. Returns the exit code that a host
 * gets. */
static int
terminate(uint64_t flags, void (*run)(void))
{
	struct error err = ERROR_INIT;
	int status;

	start_process(flags, run);
	(void)poll(NULL, 0, 100);
	REQUIRE_OK(sandbox_signal(s, c->init, SIGTERM, &err), &err);
	status = run_until_end(60000);
	REQUIRE_NE(status, -1, "the process is still alive");
	return process_exit_code(status);
}

#define TERMINATES(name, flags, code)                     \
	Test(signal, name)                                \
	{                                                 \
		REQUIRE_EQ(terminate(flags, name), code); \
	}

TERMINATES(init_waits_in_sigwait, CLONE_NEWPID, 0)
TERMINATES(init_waits_in_short_turns, CLONE_NEWPID, 0)
TERMINATES(init_reads_signalfd, CLONE_NEWPID, 0)
TERMINATES(init_waits_in_ppoll, CLONE_NEWPID, 0)
TERMINATES(init_has_a_thread_that_waits, CLONE_NEWPID, 0)
TERMINATES(init_unblocks_beside_a_thread_that_waits, CLONE_NEWPID, 0)
TERMINATES(init_waits_for_another_signal, CLONE_NEWPID, 137)

static void
init_has_no_handler(void)
{
	unblock();
	init_sleeps();
}
TERMINATES(init_has_no_handler, CLONE_NEWPID, 137)

static void
init_has_no_handler_and_runs(void)
{
	unblock();
	init_runs();
}
TERMINATES(init_has_no_handler_and_runs, CLONE_NEWPID, 137)

/* Something else wakes it up all the time: a child that writes to a pipe and waits for a reply. */
static void
init_has_no_handler_and_is_woken(void)
{
	int there[2], back[2];
	char byte = 0;

	unblock();
	if (pipe(there) < 0 || pipe(back) < 0)
		_exit(1);
	if (fork() == 0)
		for (;;)
			if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
				_exit(1);
	for (;;)
		if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1)
			_exit(1);
}
TERMINATES(init_has_no_handler_and_is_woken, CLONE_NEWPID, 137)

static void
not_an_init(void)
{
	unblock();
	init_sleeps();
}
TERMINATES(not_an_init, 0, 143)

static void
not_an_init_that_runs(void)
{
	unblock();
	init_runs();
}
TERMINATES(not_an_init_that_runs, 0, 143)

Test(signal, init_that_blocks_it_briefly_ends)
{
	struct error err = ERROR_INIT;
	int status;

	start_process(CLONE_NEWPID, init_blocks_for_a_moment);
	REQUIRE_OK(sandbox_signal(s, c->init, SIGTERM, &err), &err);
	status = run_until_end(60000);
	REQUIRE(status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d",
		status);
}

Test(signal, init_that_keeps_blocking_it_is_left_alone)
{
	struct error err = ERROR_INIT;

	start_process(CLONE_NEWPID, init_sleeps);
	REQUIRE_OK(sandbox_signal(s, c->init, SIGTERM, &err), &err);
	REQUIRE_EQ(run_until_end(500), -1);
	REQUIRE_EQ(c->init->term.timer, NULL, "the timer is still armed");
	REQUIRE_OK(sandbox_signal(s, c->init, SIGKILL, &err), &err);
	REQUIRE_GE(run_until_end(60000), 0);
}
