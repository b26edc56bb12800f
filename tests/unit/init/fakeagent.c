/* SPDX-License-Identifier: Apache-2.0 */
/* Building blocks of the fake agents of test_supervise.c. */
#include "tests/unit/init/fakeagent.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/unit/init/sandbox.h"

void
agent_tell(int fd, uint32_t type, int32_t pid, int32_t value)
{
	struct initproto_msg msg = { .type = type, .pid = pid, .value = value };

	REQUIRE_EQ(send(fd, &msg, sizeof(msg), MSG_NOSIGNAL), (ssize_t)sizeof(msg));
}

struct initproto_msg
agent_hear(int fd)
{
	struct initproto_msg msg;

	REQUIRE_EQ(recv(fd, &msg, sizeof(msg), 0), (ssize_t)sizeof(msg));
	return msg;
}

void
agent_expect_boot(int fd, bool is_pid1)
{
	struct initproto_msg msg = agent_hear(fd);

	REQUIRE_EQ(msg.type, INITPROTO_BOOT);
	REQUIRE_EQ((msg.flags & INITPROTO_IS_PID1) != 0, is_pid1);
	REQUIRE_EQ(msg.ns[0], 12345);
	REQUIRE_GT(msg.ns[1], msg.ns[0]);
}

/* Shares our memory and has a small stack, so that thousands can be created quickly. */
#define STACK_SIZE 8192
/* More than ever run at once. */
#define STACKS 2048

struct quick {
	int code, gate[2];
};

static unsigned char stacks[STACKS][STACK_SIZE] __attribute__((aligned(16)));
static struct quick quicks[STACKS];

__attribute__((no_sanitize("address", "undefined"))) static int
quick_main(void *data)
{
	const struct quick *q = data;
	char c;

	(void)syscall(SYS_close, q->gate[1]);
	(void)syscall(SYS_read, q->gate[0], &c, 1);
	(void)syscall(SYS_exit, q->code);
	return 0;
}

/* Creates a process that exits with code once all write ends of the gate are closed. */
pid_t
agent_quick_start(int flags, int code, const int gate[2])
{
	static unsigned int next;
	unsigned int i = next++ % STACKS;
	pid_t pid;

	quicks[i] = (struct quick){ .code = code, .gate = { gate[0], gate[1] } };
	pid = clone(quick_main, stacks[i] + STACK_SIZE, CLONE_VM | SIGCHLD | flags, &quicks[i]);
	REQUIRE_GT(pid, 0);
	return pid;
}

/* Creates a child of our parent that exits with code once *gate is closed. */
pid_t
agent_sibling(int code, int *gate)
{
	int ends[2];
	pid_t pid;

	REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
	pid = agent_quick_start(CLONE_PARENT, code, ends);
	(void)close(ends[0]);
	*gate = ends[1];
	return pid;
}

/* Exit code + 1 of each pid. */
static int32_t expected[1 << 16];

void
agent_register(int fd, pid_t pid, int code)
{
	expected[pid] = code + 1;
	agent_tell(fd, INITPROTO_REGISTER, pid, 0);
}

void
agent_take_exit(int fd)
{
	struct initproto_msg msg = agent_hear(fd);

	REQUIRE_EQ(msg.type, INITPROTO_EXIT);
	REQUIRE_GT(msg.pid, 0);
	REQUIRE_LT(msg.pid, (int32_t)(sizeof(expected) / sizeof(expected[0])));
	REQUIRE_GT(expected[msg.pid], 0);
	REQUIRE(WIFEXITED(msg.value));
	REQUIRE_EQ(WEXITSTATUS(msg.value), expected[msg.pid] - 1);
	expected[msg.pid] = 0;
	agent_tell(fd, INITPROTO_TAKEN, msg.pid, 0);
}

/* Starts a sibling that ends as soon as it is registered. */
pid_t
agent_start_one(int fd, int i)
{
	int gate;
	pid_t pid = agent_sibling(i % 256, &gate);

	agent_register(fd, pid, i % 256);
	(void)close(gate);
	return pid;
}
