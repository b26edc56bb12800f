/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's end of the socket to init: registrations, exits in any order, reuse of pids, a
 * full socket, init's end. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/job/initlink.h"
#include "lib/cleanup.h"
#include "lib/initproto.h"
#include "lib/io.h"
#include "lib/log.h"
#include "tests/support/check.h"

static struct loop *loop;
static struct initlink *l;
static struct error err;
static int init = -1;
static int n_lost;

static void
on_lost(void *data)
{
	(void)data;
	n_lost++;
}

static void
tell(enum initproto_type type, pid_t pid, int value)
{
	struct initproto_msg msg = { .type = type,
				     .pid = pid,
				     .value = value,
				     .ns = { 111, 222 },
				     .flags = INITPROTO_IS_PID1 };

	REQUIRE_EQ(send_msg(init, &msg, sizeof(msg), NULL, 0, 0), 0);
}

static bool
hear(struct initproto_msg *msg)
{
	int fds[IO_FDS_MAX];
	size_t n_fds;

	return recv_msg(init, msg, sizeof(*msg), fds, &n_fds, MSG_DONTWAIT) == sizeof(*msg);
}

static void
expect(enum initproto_type type, pid_t pid)
{
	struct initproto_msg msg = { 0 };

	REQUIRE(hear(&msg));
	CHECK(msg.type == type && msg.pid == pid, "%u of %d", msg.type, msg.pid);
}

static void
settle(void)
{
	for (int i = 0; i < 10; i++)
		REQUIRE_OK(loop_run_once(loop, 0, &err), &err);
}

static void
up(void)
{
	int pair[2];

	log_set_level(LOG_LEVEL_CRIT);
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	init = pair[0];
	tell(INITPROTO_BOOT, 0, 0);
	loop = loop_new(&err);
	l = initlink_new(loop, pair[1], on_lost, NULL, &err);
	REQUIRE(l, "%s", err.msg);
}

static void
down(void)
{
	initlink_free(l);
	loop_free(loop);
	close_fd(&init);
}

TestSuite(initlink, .init = up, .fini = down);

struct ended {
	int n, status, order;
	bool gone;
};

static int order;

static void
on_end(int status, bool gone, void *data)
{
	struct ended *e = data;

	*e = (struct ended){ .n = e->n + 1, .status = status, .gone = gone, .order = ++order };
}

Test(initlink, boot)
{
	CHECK(initlink_is_pid1(l));
	CHECK_EQ(initlink_boot_ns(l, 0), 111);
	CHECK_EQ(initlink_boot_ns(l, 1), 222);
	CHECK_EQ(initlink_boot_ns(l, 2), 0);
}

Test(initlink, exits)
{
	struct ended a = { 0 }, b = { 0 }, c = { 0 };

	REQUIRE(initlink_watch(l, 100, on_end, &a, &err));
	/* of one bucket */
	REQUIRE(initlink_watch(l, 100 + 256, on_end, &b, &err));
	struct child *nobody = initlink_watch(l, 102, on_end, &c, &err);
	REQUIRE(nobody);
	expect(INITPROTO_REGISTER, 100);
	expect(INITPROTO_REGISTER, 356);
	expect(INITPROTO_REGISTER, 102);
	child_unwatch(nobody);
	child_unwatch(NULL);
	tell(INITPROTO_EXIT, 356, 0x0700);
	tell(INITPROTO_EXIT, 102, 0);
	/* nobody ever asked */
	tell(INITPROTO_EXIT, 999, 0);
	tell(INITPROTO_GONE, 100, 0);
	settle();
	CHECK(b.n == 1 && b.status == 0x0700 && !b.gone && b.order == 1);
	CHECK(a.n == 1 && a.gone && a.order == 2);
	CHECK_EQ(c.n, 0);
	expect(INITPROTO_TAKEN, 356);
	expect(INITPROTO_TAKEN, 102);
	expect(INITPROTO_TAKEN, 999);
	struct initproto_msg msg;
	CHECK(!hear(&msg), "what is gone needs no TAKEN");
}

/* The exit of the former owner of a pid is on its way while the pid is registered anew. */
Test(initlink, pid_used_again)
{
	struct ended old = { 0 }, new = { 0 };
	struct child *child = initlink_watch(l, 55, on_end, &old, &err);

	REQUIRE(child);
	child_unwatch(child);
	tell(INITPROTO_EXIT, 55, 1);
	REQUIRE(initlink_watch(l, 55, on_end, &new, &err));
	settle();
	CHECK_EQ(new.n, 0);
	tell(INITPROTO_EXIT, 55, 2);
	settle();
	CHECK(new.n == 1 && new.status == 2 && old.n == 0);
}

/* Registers from its callback, as a job that starts its undo does. */
static struct ended nested;

static void
on_end_again(int status, bool gone, void *data)
{
	(void)status;
	(void)gone;
	(void)data;
	REQUIRE(initlink_watch(l, 61, on_end, &nested, &err));
}

Test(initlink, from_a_callback)
{
	REQUIRE(initlink_watch(l, 60, on_end_again, NULL, &err));
	tell(INITPROTO_EXIT, 60, 0);
	settle();
	tell(INITPROTO_EXIT, 61, 5);
	settle();
	CHECK(nested.n == 1 && nested.status == 5);
}

Test(initlink, init_does_not_read)
{
	struct ended e = { 0 };
	struct initproto_msg msg;
	int registered = 0, taken = 0, total = 0;

	while (initlink_watch(l, 1000 + registered, on_end, &e, &err)) {
		registered++;
		REQUIRE_LT(registered, 100000);
	}
	CHECK_HAS(err.msg, "register process");
	/* Exits are still delivered; their acknowledgements are queued. */
	for (int i = 0; i < 100; i++)
		tell(INITPROTO_EXIT, 1000 + i, 0);
	settle();
	CHECK_EQ(e.n, 100);
	for (;;) {
		while (hear(&msg)) {
			total++;
			taken += msg.type == INITPROTO_TAKEN;
			if (taken)
				CHECK_EQ(msg.pid, 1000 + taken - 1, "in order");
		}
		if (total >= registered + 100)
			break;
		settle();
	}
	CHECK_EQ(taken, 100);
	REQUIRE(initlink_watch(l, 5, on_end, &e, &err), "works again");
}

Test(initlink, end_of_init)
{
	struct ended e = { 0 };

	REQUIRE(initlink_watch(l, 5, on_end, &e, &err));
	tell(INITPROTO_EXIT, 5, 3);
	close_fd(&init);
	settle();
	CHECK_EQ(n_lost, 1);
	CHECK(e.n == 1 && e.status == 3, "what was said before is heard");
	CHECK_EQ(initlink_watch(l, 6, on_end, &e, &err), NULL);
	CHECK_EQ(initlink_poweroff(l, 0, &err), -1);
}

Test(initlink, poweroff)
{
	struct initproto_msg msg;

	REQUIRE_OK(initlink_poweroff(l, 7, &err), &err);
	REQUIRE(hear(&msg));
	CHECK(msg.type == INITPROTO_POWEROFF && msg.value == 7);
}
