/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGTERM to the init of a pid namespace, which the kernel drops unless it has a handler. Real processes. One that
 * blocks it just now (every fork does) must end all the same; one that means to block it is left alone.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/sandbox/private.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"

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
	cr_assert(roots.proc >= 0);
	parts.loop = loop_new(&err);
	s = sandbox_new(&parts, &err);
	cr_assert(s && parts.loop);
	c = container_new(parts.loop, "web", &spec, &err);
	cr_assert(c, "%s", err.msg);
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

/* The init of a pid namespace that blocks SIGTERM, for block_ms or (negative) for ever. */
static void
start_init(int block_ms)
{
	struct clone_args args = { .flags = CLONE_NEWPID | CLONE_PIDFD, .exit_signal = SIGCHLD };
	int ready[2], pidfd = -1;
	char byte;

	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	c->init->pid = sys_clone3(&args);
	if (c->init->pid == 0) {
		block_sigterm(SIG_BLOCK);
		(void)!write(ready[1], "", 1);
		if (block_ms >= 0) {
			(void)poll(NULL, 0, block_ms);
			block_sigterm(SIG_UNBLOCK);
		}
		for (;;)
			(void)pause();
	}
	cr_assert(c->init->pid > 0, "clone: %s (root?)", strerror(errno));
	c->init->pidfd = pidfd;
	cr_assert_eq(read_full(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

/* Runs the loop until the process has ended: its status, or -1 if it lives on. */
static int
run_until_end(int ms)
{
	uint64_t end = monotonic_ns() + (uint64_t)ms * 1000000u;
	struct error err = ERROR_INIT;
	int status;

	while (monotonic_ns() < end) {
		if (waitpid(c->init->pid, &status, WNOHANG) == c->init->pid)
			return status;
		cr_assert(loop_run_once(s->parts.loop, 5, &err) >= 0, "%s", err.msg);
	}
	return -1;
}

Test(signal, an_init_that_blocks_sigterm_for_a_moment_ends)
{
	struct error err = ERROR_INIT;
	int status;

	start_init(50);
	cr_assert_eq(sandbox_signal(s, c->init, SIGTERM, &err), 0, "%s", err.msg);
	status = run_until_end(5000);
	cr_assert(status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d",
		  status);
}

Test(signal, an_init_that_goes_on_blocking_it_is_left_alone)
{
	struct error err = ERROR_INIT;

	start_init(-1);
	cr_assert_eq(sandbox_signal(s, c->init, SIGTERM, &err), 0, "%s", err.msg);
	cr_assert_eq(run_until_end(500), -1);
	cr_assert_null(c->init->term.timer, "it is looked at for ever");
	cr_assert_eq(sandbox_signal(s, c->init, SIGKILL, &err), 0, "%s", err.msg);
	cr_assert(run_until_end(5000) >= 0);
}
