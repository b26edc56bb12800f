/* SPDX-License-Identifier: Apache-2.0 */
/* An UpdateInterface that its caller cancelled, and the next one for the same interface. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "agent/network/network.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/unit/agent/job/bench.h"

#define WAIT_MS 1000

static void
on_done_op(const struct error *err, const struct buf *reply, void *data)
{
	struct bench *b = data;

	(void)reply;
	b->ended++;
	b->last = *err;
}

static struct pending *
begin(struct bench *b, struct network *n)
{
	const struct net_interface_request q = {
		.name = "eth9",
		.mac = "02:00:00:00:be:ef",
		.device_path = "",
	};
	struct error err = ERROR_INIT;
	struct pending *op = network_update_interface(n, &q, on_done_op, b, &err);

	REQUIRE(op);
	return op;
}

static int
give_up_the_first(int init_fd, void *data)
{
	struct roots roots = { -1, -1, -1, -1, -1, -1 };
	struct error err = ERROR_INIT;
	struct network *n;
	struct bench b;
	uint64_t start;

	(void)data;
	REQUIRE_EQ(unshare(CLONE_NEWNET), 0);
	roots.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	roots.sys = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	roots.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bench_init(&b, init_fd);
	n = network_new(b.loop, b.jobs, &roots, WAIT_MS, &err);
	REQUIRE(n);
	/* while its worker looks */
	pending_cancel(&(struct pending *){ begin(&b, n) });
	/* changes are made one after the other: the first one has ended */
	REQUIRE(network_update_routes(n, NULL, 0, on_done_op, &b, &err));
	run_until(&b, 1);
	start = monotonic_ns();
	begin(&b, n);
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_NOT_FOUND);
	REQUIRE_GE(monotonic_ns() - start, WAIT_MS * 1000000ull);
	/* that one did wait */
	start = monotonic_ns();
	begin(&b, n);
	run_until(&b, 3);
	REQUIRE_EQ(b.last.code, ERROR_NOT_FOUND);
	REQUIRE_LT(monotonic_ns() - start, WAIT_MS * 1000000ull);
	network_free(n);
	bench_release(&b);
	return 0;
}

Test(network_cancelled, the_next_call_waits)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	in_agent(give_up_the_first);
}
