/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervise loop with fake agents, as PID 1 of a new pid namespace and as an ordinary parent:
 * no status is lost and orphans are reaped, whatever the agent sends.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/supervise.h"
#include "lib/deadline.h"
#include "lib/initproto.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/unit/init/fakeagent.h"
#include "tests/unit/init/sandbox.h"

#define STORM     4000
#define AT_ONCE   200
#define DEAF      1200
#define ORPHANS   1000
#define SECOND_NS 1000000000ull

/* ---- running one ---- */

struct run {
	int (*agent)(int fd, void *data);
	void (*started)(void *data);
	bool is_pid1;
	/* Expected result. */
	enum supervise_cause cause;
	int status, exit_code;
	uint64_t strangers_min;
};

static int
parent(void *data)
{
	struct run *run = data;
	struct supervise_spec spec = {
		.is_pid1 = run->is_pid1,
		.main_ns = 12345,
		.start = run->agent,
		.started = run->started,
		.has_protocol = true,
	};
	struct supervise_result result;
	struct error err = ERROR_INIT;

	/* The handlers of the sanitizers would be mistaken for ours. */
	for (int sig = 1; sig < 32; sig++)
		(void)signal(sig, SIG_DFL);
	REQUIRE_OK(supervise_run(&spec, &result, &err), &err);
	REQUIRE_EQ(result.cause, run->cause);
	REQUIRE_EQ(result.status, run->status);
	REQUIRE_EQ(result.exit_code, run->exit_code);
	REQUIRE_GE(result.strangers, run->strangers_min);
	if (!run->is_pid1)
		REQUIRE(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
	return 0;
}

static void
check_run(struct run run)
{
	sandbox_require();
	REQUIRE_EQ(sandbox_run(0, parent, &run), 0);
}

/* ---- agents and tests ---- */

static int
agent_storm(int fd, void *data)
{
	int out = 0;

	(void)data;
	agent_expect_boot(fd, true);
	for (int i = 0; i < STORM; i++) {
		agent_start_one(fd, i);
		if (++out == AT_ONCE)
			for (; out > AT_ONCE / 2; out--)
				agent_take_exit(fd);
	}
	for (; out > 0; out--)
		agent_take_exit(fd);
	return 7;
}

Test(supervise, delivers_every_status_of_4000_processes, .timeout = 60)
{
	check_run((struct run){ .agent = agent_storm, .is_pid1 = true, .status = 7 << 8 });
}

/* Reads nothing until all have ended: the socket is full and statuses are kept. */
static int
agent_deaf(int fd, void *data)
{
	static int pidfds[DEAF];
	struct rlimit files = { 4096, 4096 };

	(void)data;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
	agent_expect_boot(fd, true);
	for (int i = 0; i < DEAF; i++) {
		int gate;
		pid_t pid = agent_sibling(i % 256, &gate);

		pidfds[i] = sys_pidfd_open(pid, 0);
		REQUIRE_GE(pidfds[i], 0);
		agent_register(fd, pid, i % 256);
		(void)close(gate);
	}
	for (int i = 0; i < DEAF; i++) {
		struct pollfd p = { .fd = pidfds[i], .events = POLLIN };

		REQUIRE_EQ(poll(&p, 1, 20000), 1);
		(void)close(pidfds[i]);
	}
	for (int i = 0; i < DEAF; i++)
		agent_take_exit(fd);
	return 0;
}

Test(supervise, keeps_statuses_while_the_agent_does_not_read, .timeout = 60)
{
	check_run((struct run){ .agent = agent_deaf, .is_pid1 = true });
}

/* So many exits find no memory in the kernel. */
static int exits_fail;

/* In place of the C library's. */
ssize_t
send(int fd, const void *data, size_t n, int flags)
{
	const struct initproto_msg *msg = data;

	if (exits_fail > 0 && n == sizeof(*msg) && msg->type == INITPROTO_EXIT) {
		exits_fail--;
		errno = exits_fail % 2 ? ENOBUFS : ENOMEM;
		return -1;
	}
	return sendto(fd, data, n, flags, NULL, 0);
}

static int
agent_starved(int fd, void *data)
{
	uint64_t begin;

	(void)data;
	agent_expect_boot(fd, true);
	begin = monotonic_ns();
	agent_start_one(fd, 5);
	agent_take_exit(fd);
	/* 20 tries, none of them at once: the socket was writable all the time */
	REQUIRE_GE(monotonic_ns() - begin, SECOND_NS / 10);
	return 0;
}

Test(supervise, rests_while_the_kernel_has_no_memory, .timeout = 60)
{
	exits_fail = 20;
	check_run((struct run){ .agent = agent_starved, .is_pid1 = true });
}

static int
agent_gone(int fd, void *data)
{
	struct initproto_msg msg;
	pid_t pid;
	int gate;

	(void)data;
	agent_expect_boot(fd, true);
	/* Ended and reaped before it was registered. */
	pid = agent_sibling(3, &gate);
	(void)close(gate);
	while (kill(pid, 0) == 0)
		(void)sched_yield();
	agent_tell(fd, INITPROTO_REGISTER, pid, 0);
	msg = agent_hear(fd);
	REQUIRE_EQ(msg.type, INITPROTO_GONE);
	REQUIRE_EQ(msg.pid, pid);
	/* A child of the agent is not a child of init. */
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	agent_tell(fd, INITPROTO_REGISTER, pid, 0);
	msg = agent_hear(fd);
	REQUIRE_EQ(msg.type, INITPROTO_GONE);
	REQUIRE_EQ(msg.pid, pid);
	(void)kill(pid, SIGKILL);
	REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
	return 0;
}

Test(supervise, says_that_a_process_is_gone, .timeout = 60)
{
	check_run((struct run){ .agent = agent_gone, .is_pid1 = true, .strangers_min = 1 });
}

/* Ten parents end before their hundred children each. */
static int
agent_orphans(int fd, void *data)
{
	uint64_t deadline = monotonic_ns() + 20 * SECOND_NS;
	int gate[2], status;

	(void)data;
	(void)fd;
	REQUIRE_EQ(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < ORPHANS; i += 100) {
		pid_t pid = fork();

		REQUIRE_GE(pid, 0);
		if (pid == 0) {
			for (int k = 0; k < 100; k++)
				(void)agent_quick_start(0, 9, gate);
			_exit(0);
		}
		REQUIRE_EQ(waitpid(pid, &status, 0), pid);
		REQUIRE_EQ(status, 0);
	}
	(void)close(gate[1]);
	(void)close(gate[0]);
	/* All are reaped once only init, this process and the caller are left. */
	for (pid_t pid = getpid() + 1; pid < getpid() + ORPHANS + 100; pid++)
		while (kill(pid, 0) == 0 && !deadline_is_over(deadline))
			(void)sched_yield();
	REQUIRE(!deadline_is_over(deadline));
	return 0;
}

Test(supervise, reaps_orphans, .timeout = 60)
{
	check_run(
		(struct run){ .agent = agent_orphans, .is_pid1 = true, .strangers_min = ORPHANS });
}

Test(supervise, reaps_orphans_as_subreaper, .timeout = 60)
{
	check_run((struct run){ .agent = agent_orphans, .strangers_min = ORPHANS });
}

static int
agent_killed(int fd, void *data)
{
	struct rlimit none = { 0, 0 };

	(void)data;
	(void)fd;
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)raise(SIGSEGV);
	return 0;
}

Test(supervise, tells_how_the_agent_ended, .timeout = 60)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ 0, "exited with code 0" },
		{ 127 << 8, "exited with code 127" },
		{ SIGKILL, "was killed by signal 9 (Killed)" },
		{ SIGSEGV | 0x80, "was killed by signal 11 (Segmentation fault), core dumped" },
	};
	char text[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		supervise_describe(rows[i].status, text, sizeof(text));
		CHECK_STR(text, rows[i].text);
	}
	check_run((struct run){ .agent = agent_killed, .is_pid1 = true, .status = SIGSEGV });
	check_run((struct run){ .agent = agent_killed, .status = SIGSEGV });
}

static int
agent_asks(int fd, void *data)
{
	(void)data;
	agent_tell(fd, INITPROTO_POWEROFF, 0, 5);
	(void)pause();
	return 0;
}

Test(supervise, powers_off_when_asked, .timeout = 60)
{
	check_run((struct run){ .agent = agent_asks,
				.is_pid1 = true,
				.cause = SUPERVISE_POWEROFF_ASKED,
				.exit_code = 5 });
}

/* Exits without reading init's first message, before init has read its own. */
static int
agent_asks_unhearing(int fd, void *data)
{
	(void)data;
	agent_tell(fd, INITPROTO_POWEROFF, 0, 5);
	return 0;
}

static void
wait_for_its_end(void *data)
{
	siginfo_t info;

	(void)data;
	REQUIRE_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
}

Test(supervise, powers_off_when_asked_by_who_has_gone, .timeout = 60)
{
	check_run((struct run){ .agent = agent_asks_unhearing,
				.started = wait_for_its_end,
				.is_pid1 = true,
				.cause = SUPERVISE_POWEROFF_ASKED,
				.exit_code = 5 });
}

static int
agent_asks_and_leaves(int fd, void *data)
{
	struct clone_args args = { .flags = CLONE_PARENT };
	pid_t pid = sys_clone3(&args);

	(void)data;
	REQUIRE_GE(pid, 0);
	/* Outlives the agent and is killed. */
	if (pid == 0)
		for (;;)
			(void)pause();
	agent_tell(fd, INITPROTO_REGISTER, pid, 0);
	agent_tell(fd, INITPROTO_POWEROFF, 0, 6);
	return 0;
}

Test(supervise, ends_with_the_agent_and_leaves_nothing, .timeout = 60)
{
	check_run((struct run){ .agent = agent_asks_and_leaves,
				.cause = SUPERVISE_POWEROFF_ASKED,
				.exit_code = 6,
				.strangers_min = 1 });
}

/* Invalid messages of the agent do not disturb init: a later registration still works. */
static int
agent_rubbish(int fd, void *data)
{
	static const int32_t pids[] = { 0, -1, 1, INT32_MIN, INT32_MAX, 999999 };
	char bytes[4096];
	unsigned int seed = 1;
	int gate;
	pid_t pid;

	(void)data;
	agent_expect_boot(fd, true);
	for (int i = 0; i < 2000; i++) {
		struct initproto_msg msg = { .type = (uint32_t)rand_r(&seed) };

		memset(bytes, i, sizeof(bytes));
		if (msg.type == INITPROTO_POWEROFF)
			continue;
		REQUIRE_GT(send(fd, &msg, sizeof(msg), 0), 0);
		/* Never the size of a message, and never empty, which means the end to the
		 * receiver. */
		REQUIRE_GT(send(fd, bytes, (size_t)(1 + i % 39), 0), 0);
		REQUIRE_GT(send(fd, bytes, sizeof(bytes) - (size_t)i, 0), 0);
	}
	for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
		agent_tell(fd, INITPROTO_TAKEN, pids[i], 0);
		agent_tell(fd, INITPROTO_REGISTER, pids[i], 0);
	}
	agent_tell(fd, INITPROTO_REGISTER, getpid(), 0);
	/* 1, INT32_MAX, 999999 */
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(agent_hear(fd).type, INITPROTO_GONE);
	pid = agent_sibling(44, &gate);
	agent_register(fd, pid, 44);
	(void)close(gate);
	agent_take_exit(fd);
	return 0;
}

Test(supervise, survives_rubbish, .timeout = 60)
{
	check_run((struct run){ .agent = agent_rubbish, .is_pid1 = true });
}

static int
agent_signals(int fd, void *data)
{
	union sigval value = { .sival_int = 1 };

	(void)data;
	agent_expect_boot(fd, true);
	for (int round = 0; round < 20; round++) {
		for (int sig = 1; sig <= 64; sig++)
			if (sig != SIGINT && sig != SIGPWR)
				(void)syscall(SYS_kill, 1, sig);
		for (int i = 0; i < 200; i++)
			(void)sigqueue(1, SIGRTMIN + i % 20, value);
	}
	agent_start_one(fd, 1);
	agent_take_exit(fd);
	REQUIRE_EQ(kill(1, SIGPWR), 0);
	(void)pause();
	return 0;
}

Test(supervise, survives_signals_and_obeys_sigpwr, .timeout = 60)
{
	check_run((struct run){ .agent = agent_signals,
				.is_pid1 = true,
				.cause = SUPERVISE_SIGNALLED,
				.status = SIGPWR });
}

static int
agent_waits_for_term(int fd, void *data)
{
	(void)data;
	agent_expect_boot(fd, false);
	REQUIRE_EQ(kill(getppid(), SIGHUP), 0);
	(void)pause();
	return 1;
}

Test(supervise, passes_signals_on, .timeout = 60)
{
	check_run((struct run){ .agent = agent_waits_for_term, .status = SIGTERM });
}

/* A reused pid while the status of the previous process waits: both are reported in order. */
static int
agent_reuses(int fd, void *data)
{
	struct clone_args args = { .flags = CLONE_PARENT, .set_tid_size = 1 };
	pid_t wanted = 300, pid;
	int gate[2];
	char c;

	(void)data;
	args.set_tid = (uintptr_t)&wanted;
	agent_expect_boot(fd, true);
	for (int code = 1; code <= 2; code++) {
		REQUIRE_EQ(pipe2(gate, O_CLOEXEC), 0);
		/* EEXIST until the first one is reaped. */
		while ((pid = sys_clone3(&args)) < 0)
			REQUIRE_EQ(errno, EEXIST);
		if (pid == 0) {
			(void)close(gate[1]);
			(void)!read(gate[0], &c, 1);
			_exit(code);
		}
		REQUIRE_EQ(pid, wanted);
		agent_tell(fd, INITPROTO_REGISTER, pid, 0);
		(void)close(gate[0]);
		(void)close(gate[1]);
	}
	for (int code = 1; code <= 2; code++) {
		struct initproto_msg msg = agent_hear(fd);

		REQUIRE_EQ(msg.type, INITPROTO_EXIT);
		REQUIRE_EQ(msg.pid, wanted);
		REQUIRE_EQ(msg.value, code << 8);
		agent_tell(fd, INITPROTO_TAKEN, msg.pid, 0);
	}
	return 0;
}

Test(supervise, keeps_owners_of_one_pid_apart, .timeout = 60)
{
	check_run((struct run){ .agent = agent_reuses, .is_pid1 = true });
}

/* After the agent has closed the socket, init does not spin and continues to reap. */
static int
agent_hangs_up(int fd, void *data)
{
	int gate;
	pid_t pid = agent_sibling(0, &gate);

	(void)data;
	agent_tell(fd, INITPROTO_REGISTER, pid, 0);
	(void)close(fd);
	(void)close(gate);
	while (kill(pid, 0) == 0)
		(void)sched_yield();
	return 8;
}

Test(supervise, survives_the_end_of_the_socket, .timeout = 60)
{
	check_run((struct run){ .agent = agent_hangs_up, .is_pid1 = true, .status = 8 << 8 });
}
