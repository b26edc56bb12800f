/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers and their processes: the reply to every call in every state, names, exit statuses,
 * waiters, and when an entry goes. The test plays init on the other end of the link.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/container.h"
#include "agent/container/launch/exec_report.h"
#include "agent/job/initlink.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/initproto.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "lib/sys.h"
#include "tests/support/check.h"

static struct loop *loop;
static struct initlink *to_init;
static int init_end = -1;
static struct container *c;
static int fds_before;

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	REQUIRE(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void
begin(void)
{
	Grpc__Spec spec = GRPC__SPEC__INIT;
	struct error err = ERROR_INIT;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	fds_before = count_fds();
	loop = loop_new(&err);
	REQUIRE(loop);
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	init_end = fds[0];
	to_init = initlink_new(loop, fds[1], NULL, NULL, &err);
	REQUIRE(to_init, "%s", err.msg);
	c = container_new(loop, "web", &spec, &err);
	REQUIRE(c, "%s", err.msg);
}

static void
finish(void)
{
	if (c)
		container_free(c);
	initlink_free(to_init);
	loop_free(loop);
	close_fd(&init_end);
	REQUIRE_EQ(count_fds(), fds_before, "fds: %d before, %d after", fds_before, count_fds());
}

TestSuite(container, .init = begin, .fini = finish);

/* Sends init's report of an exit. */
static void
init_says(pid_t pid, int wait_status)
{
	struct initproto_msg msg = { .type = INITPROTO_EXIT, .pid = pid, .value = wait_status };
	struct error err = ERROR_INIT;

	REQUIRE_EQ(send(init_end, &msg, sizeof(msg), 0), (ssize_t)sizeof(msg));
	for (int i = 0; i < 3; i++)
		REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
}

static void
turn(void)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
}

/* Attaches a pid for which init reports an exit, and a pidfd of this process. */
static void
attach(struct process *p, pid_t pid)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(process_attach(p, to_init, pid, sys_pidfd_open(getpid(), 0), &err), &err);
	p->ready = true;
	if (p == c->init) {
		c->init_pid = pid;
		c->state = CONTAINER_RUNNING;
	}
}

static struct process *
add(const char *exec_id, pid_t pid)
{
	struct error err = ERROR_INIT;
	struct process *p = container_add_process(c, exec_id, &err);

	REQUIRE(p, "%s", err.msg);
	attach(p, pid);
	return p;
}

static enum error_code
refusal_code(int state, int call)
{
	if (call == CONTAINER_CALL_CREATE)
		return ERROR_ALREADY_EXISTS;
	if (call == CONTAINER_CALL_EXEC && state == CONTAINER_STOPPED)
		return ERROR_NOT_FOUND;
	return ERROR_FAILED_PRECONDITION;
}

Test(container, every_call_in_every_state)
{
	static const char *const names[CONTAINER_STATES] = { "creating", "created", "running",
							     "stopped", "removing" };
	/* create start exec signal wait stream remove update stats pause resume: which are
	 * allowed */
	static const char *const allowed[CONTAINER_STATES] = {
		[CONTAINER_CREATING] = "......R....", [CONTAINER_CREATED] = ".SEIWTRUAP.",
		[CONTAINER_RUNNING] = "..EIWTRUAP.",  [CONTAINER_STOPPED] = "...IWTRUA..",
		[CONTAINER_REMOVING] = "...IWTR....",
	};

	_Static_assert(CONTAINER_CALLS == 11, "a letter for each call");

	for (int state = 0; state < CONTAINER_STATES; state++) {
		for (int call = 0; call < CONTAINER_CALLS; call++) {
			struct error err = ERROR_INIT;
			int result;

			c->state = state;
			result = container_allows(c, call, &err);
			REQUIRE_EQ(result == 0, allowed[state][call] != '.', "%s, call %d: %d",
				   names[state], call, result);
			if (result == 0)
				continue;
			REQUIRE_EQ(err.code, refusal_code(state, call), "%s, call %d: %d",
				   names[state], call, err.code);
			REQUIRE_HAS(err.msg, "container web ");
		}
	}
}

Test(container, calls_of_a_paused_container)
{
	/* as above */
	static const char allowed[] = "...IWTRUA.M";
	struct error err = ERROR_INIT;

	c->state = CONTAINER_RUNNING;
	c->paused = true;
	for (int call = 0; call < CONTAINER_CALLS; call++)
		REQUIRE_EQ(container_allows(c, call, &err) == 0, allowed[call] != '.', "call %d",
			   call);
	REQUIRE_EQ(container_allows(c, CONTAINER_CALL_EXEC, &err), -1);
	REQUIRE_HAS(err.msg, "is paused");
}

Test(container, exit_codes)
{
	static const struct {
		const char *name;
		int wait_status, code;
	} rows[] = {
		{ "success", 0, 0 },           { "exit 1", 1 << 8, 1 },
		{ "exit 255", 255 << 8, 255 }, { "SIGHUP", SIGHUP, 129 },
		{ "SIGKILL", SIGKILL, 137 },   { "SIGSEGV and a core", SIGSEGV | 0x80, 139 },
		{ "signal 64", 64, 192 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		REQUIRE_EQ(process_exit_code(rows[i].wait_status), rows[i].code, "%s",
			   rows[i].name);
}

Test(container, init_has_two_names_and_others_one)
{
	struct error err = ERROR_INIT;
	struct process *p;

	REQUIRE_EQ(container_process(c, "", CONTAINER_CALL_WAIT, &err), NULL);
	REQUIRE_EQ(err.code, ERROR_NOT_FOUND);
	attach(c->init, 100);
	p = add("exec-1", 101);
	REQUIRE_EQ(container_process(c, "", CONTAINER_CALL_WAIT, &err), c->init);
	REQUIRE_EQ(container_process(c, "web", CONTAINER_CALL_WAIT, &err), c->init);
	REQUIRE_EQ(container_process(c, "exec-1", CONTAINER_CALL_WAIT, &err), p);
	REQUIRE_EQ(container_process(c, "exec-2", CONTAINER_CALL_WAIT, &err), NULL);
	REQUIRE_EQ(err.code, ERROR_NOT_FOUND);
	REQUIRE_HAS(err.msg, "exec-2 not found");
}

Test(container, names_of_new_processes)
{
	static const char longest[EXEC_ID_MAX + 2] = { [0 ... EXEC_ID_MAX] = 'x' };
	static const struct {
		const char *name, *exec_id;
		enum error_code code;
		const char *text;
	} rows[] = {
		{ "taken", "exec-1", ERROR_ALREADY_EXISTS, "exec_id 'exec-1' already exists" },
		{ "init's", "web", ERROR_ALREADY_EXISTS, "exec_id 'web' already exists" },
		{ "none", "", ERROR_INVALID_ARGUMENT, "empty" },
		{ "too long", longest, ERROR_INVALID_ARGUMENT, "1024" },
	};

	attach(c->init, 100);
	add("exec-1", 101);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;

		REQUIRE_EQ(container_add_process(c, rows[i].exec_id, &err), NULL);
		REQUIRE_EQ(err.code, rows[i].code, "%s: %s", rows[i].name, err.msg);
		REQUIRE_HAS(err.msg, rows[i].text, "%s: %s", rows[i].name, err.msg);
	}
}

Test(container, processes_are_limited)
{
	struct error err = ERROR_INIT;
	char name[16];

	for (int i = 1; i < CONTAINER_PROCESSES_MAX; i++) {
		snprintf(name, sizeof(name), "e%d", i);
		REQUIRE(container_add_process(c, name, &err), "%d: %s", i, err.msg);
	}
	REQUIRE_EQ(container_add_process(c, "one-more", &err), NULL);
	REQUIRE_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
}

struct waiter {
	/* first */
	struct process_waiter waiter;
	int calls, status;
	struct error err;
};

static void
waited(struct process_waiter *w, int status, const struct error *err)
{
	struct waiter *waiter = (struct waiter *)w;

	waiter->calls++;
	waiter->status = status;
	waiter->err = *err;
}

Test(container, waiters_get_the_exit_code_once)
{
	struct waiter a = { .waiter.done = waited }, b = a, gone = a;
	struct error err = ERROR_INIT;
	int status;

	attach(c->init, 100);
	REQUIRE_EQ(process_wait(c->init, &a.waiter, &status), 1);
	REQUIRE_EQ(process_wait(c->init, &gone.waiter, &status), 1);
	REQUIRE_EQ(process_wait(c->init, &b.waiter, &status), 1);
	pending_cancel(&(struct pending *){ &gone.waiter.pending });
	init_says(100, 7 << 8);
	REQUIRE_EQ(a.calls + b.calls, 2);
	REQUIRE_EQ(a.status, 7);
	REQUIRE_EQ(b.status, 7);
	REQUIRE_EQ(gone.calls, 0);
	REQUIRE_EQ(c->state, CONTAINER_STOPPED);
	REQUIRE_EQ(container_process(c, "web", CONTAINER_CALL_WAIT, &err), NULL);
	REQUIRE_EQ(err.code, ERROR_NOT_FOUND);
	REQUIRE_EQ(c->init, NULL, "collected and without streams: over");
}

Test(container, an_exit_before_the_wait_is_kept)
{
	struct waiter a = { .waiter.done = waited };
	struct process *p;
	int status = -1;

	attach(c->init, 100);
	p = add("exec-1", 101);
	init_says(101, SIGTERM);
	REQUIRE_EQ(c->state, CONTAINER_RUNNING);
	REQUIRE_EQ(process_wait(p, &a.waiter, &status), 0);
	REQUIRE_EQ(status, 143);
	REQUIRE_EQ(a.calls, 0);
}

Test(container, removal_ends_waiters)
{
	struct waiter a = { .waiter.done = waited };
	int status;

	attach(c->init, 100);
	REQUIRE_EQ(process_wait(c->init, &a.waiter, &status), 1);
	container_free(c);
	c = NULL;
	REQUIRE_EQ(a.calls, 1);
	REQUIRE_EQ(a.err.code, ERROR_NOT_FOUND);
}

Test(container, process_is_kept_until_its_output_is_read)
{
	struct stdio_ends ends;
	struct waiter a = { .waiter.done = waited };
	struct error err = ERROR_INIT;
	struct process *p;
	int status;

	attach(c->init, 100);
	p = add("exec-1", 101);
	REQUIRE_OK(stdio_open_pipes(&p->stdio, 0, &ends, &err), &err);
	REQUIRE_EQ(write(ends.fd[1], "text", 4), 4);
	stdio_ends_close(&ends);
	init_says(101, 0);
	REQUIRE_EQ(process_wait(p, &a.waiter, &status), 0);
	turn();
	REQUIRE_EQ(container_process(c, "exec-1", CONTAINER_CALL_WAIT, &err), NULL);
	REQUIRE_EQ(container_process(c, "exec-1", CONTAINER_CALL_STREAM, &err), p);
	/* The name can be used again nevertheless. */
	REQUIRE_NE(container_add_process(c, "exec-1", &err), NULL);
}

Test(container, unread_processes_are_limited)
{
	struct error err = ERROR_INIT;
	char name[16];

	attach(c->init, 99);
	for (int i = 0; i < CONTAINER_UNREAD_MAX + 10; i++) {
		struct waiter a = { .waiter.done = waited };
		struct stdio_ends ends;
		struct process *p;
		int status;

		snprintf(name, sizeof(name), "e%d", i);
		p = add(name, 100 + i);
		REQUIRE_OK(stdio_open_pipes(&p->stdio, 0, &ends, &err), &err);
		REQUIRE_EQ(write(ends.fd[1], "x", 1), 1);
		stdio_ends_close(&ends);
		init_says(100 + i, 0);
		REQUIRE_EQ(process_wait(p, &a.waiter, &status), 0);
		turn();
	}
	REQUIRE_EQ(container_process(c, "e0", CONTAINER_CALL_STREAM, &err), NULL);
	REQUIRE_EQ(container_process(c, "e9", CONTAINER_CALL_STREAM, &err), NULL);
	REQUIRE(container_process(c, "e10", CONTAINER_CALL_STREAM, &err));
}

/* A host that closes an exec's stdin may never read its output again: recorded of Kata's Go
 * runtime. */
Test(container, unread_output_expires)
{
	struct error err = ERROR_INIT;
	struct waiter a = { .waiter.done = waited };
	uint64_t limit = deadline_in(5000);
	struct stdio_ends ends;
	struct process *p;
	int status;

	attach(c->init, 99);
	p = add("e1", 100);
	REQUIRE_OK(stdio_open_pipes(&p->stdio, 0, &ends, &err), &err);
	p->stdio.out.unread_ms = p->stdio.err.unread_ms = 200;
	REQUIRE_EQ(write(ends.fd[1], "x", 1), 1);
	REQUIRE_EQ(write(ends.fd[2], "y", 1), 1);
	stdio_ends_close(&ends);
	init_says(100, 0);
	REQUIRE_EQ(process_wait(p, &a.waiter, &status), 0);
	REQUIRE_EQ(p->stdio.in.fd, -1, "stdin is open without a reader");
	REQUIRE(container_process(c, "e1", CONTAINER_CALL_STREAM, &err));
	while (container_process(c, "e1", CONTAINER_CALL_STREAM, &err) && !deadline_is_over(limit))
		REQUIRE_OK(loop_run_once(loop, 50, &err), &err);
	REQUIRE_EQ(container_process(c, "e1", CONTAINER_CALL_STREAM, &err), NULL);
}

static char logged[4096];

static bool
keep_line(const char *line, size_t len, void *data)
{
	(void)data;
	(void)snprintf(logged, sizeof(logged), "%.*s", (int)len, line);
	return true;
}

/* The report of a failed execve is logged. It may come from a hostile process. */
Test(container, failed_execve_is_logged)
{
	struct exec_report r = { .errnum = ENOENT };
	struct error err = ERROR_INIT;
	int fds[2];

	memcpy(r.path, "/script", 8);
	memcpy(r.reason, "its interpreter /x does not exist", 34);
	log_set_sink(keep_line, NULL);
	attach(c->init, 100);
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	REQUIRE_OK(process_take_report(c->init, fds[0], &err), &err);
	REQUIRE_EQ(write(fds[1], &r, sizeof(r)), (ssize_t)sizeof(r));
	close(fds[1]);
	/* The exit may be reported before the pipe is read. */
	watch_set_events(c->init->report_watch, 0);
	init_says(100, 127 << 8);
	REQUIRE_HAS(logged, "\"event\":\"" EVENT_EXECUTE_FAILED "\"");
	REQUIRE_HAS(logged, "\"path\":\"/script\"");
	REQUIRE_HAS(logged, "\"reason\":\"its interpreter /x does not exist\"");
	REQUIRE_HAS(logged, "\"error\":\"No such file or directory\"");
	REQUIRE_HAS(logged, "\"container-id\":\"web\"");
	REQUIRE_EQ(c->init->report, -1);
	logged[0] = '\0';
	memset(&r, 'x', sizeof(r));
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	REQUIRE_OK(process_take_report(c->init, fds[0], &err), &err);
	REQUIRE_EQ(write(fds[1], &r, sizeof(r)), (ssize_t)sizeof(r));
	REQUIRE_OK(loop_run_once(loop, 100, &err), &err);
	REQUIRE(*logged);
	REQUIRE_EQ(c->init->report, -1);
	close(fds[1]);
	/* success: the end of the pipe */
	logged[0] = '\0';
	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	REQUIRE_OK(process_take_report(c->init, fds[0], &err), &err);
	close(fds[1]);
	REQUIRE_OK(loop_run_once(loop, 100, &err), &err);
	REQUIRE_EQ(c->init->report, -1);
	REQUIRE(!*logged, "%s", logged);
}

Test(container, starting_opens_the_gate_once)
{
	struct error err = ERROR_INIT;
	int gate[2];
	char byte;

	REQUIRE_EQ(pipe2(gate, O_CLOEXEC), 0);
	attach(c->init, 100);
	c->state = CONTAINER_CREATED;
	c->gate = gate[1];
	REQUIRE_OK(container_start(c, &err), &err);
	REQUIRE_EQ(read(gate[0], &byte, 1), 1);
	REQUIRE_EQ(read(gate[0], &byte, 1), 0, "the gate was not closed");
	REQUIRE_EQ(c->state, CONTAINER_RUNNING);
	close(gate[0]);
}

Test(container, starting_a_dead_init_fails)
{
	struct error err = ERROR_INIT;
	int gate[2];

	REQUIRE_EQ(pipe2(gate, O_CLOEXEC), 0);
	attach(c->init, 100);
	c->state = CONTAINER_CREATED;
	c->gate = gate[1];
	close(gate[0]);
	REQUIRE_EQ(container_start(c, &err), -1);
	REQUIRE_EQ(err.code, ERROR_FAILED_PRECONDITION);
	REQUIRE_EQ(c->state, CONTAINER_CREATED);
	init_says(100, SIGKILL);
	REQUIRE_EQ(c->state, CONTAINER_STOPPED);
}

Test(container, signals)
{
	struct error err = ERROR_INIT;
	pid_t child = fork();
	int status;

	if (child == 0) {
		pause();
		_exit(0);
	}
	REQUIRE_GT(child, 0);
	REQUIRE_OK(process_attach(c->init, to_init, child, sys_pidfd_open(child, 0), &err), &err);
	REQUIRE_EQ(container_alive(c), 1);
	REQUIRE_OK(process_signal(c->init, SIGUSR1, &err), &err);
	REQUIRE_EQ(waitpid(child, &status, 0), child);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	/* Signalling a process whose exit was not reported yet succeeds. */
	REQUIRE_OK(process_signal(c->init, SIGTERM, &err), &err);
	init_says(child, status);
	REQUIRE_EQ(container_alive(c), 0);
	REQUIRE_OK(process_signal(c->init, 9999, &err), &err);
}
