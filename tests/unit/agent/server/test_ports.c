/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that wait for the call that names their ports. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/server/ports.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/support/check.h"

struct asked {
	/* first */
	struct ports_request request;
	int done;
	struct error err;
};

static struct loop *loop;
static struct ports *ports;

static void
on_done(struct ports_request *r, const struct error *err)
{
	struct asked *a = (struct asked *)r;

	a->done++;
	a->err = *err;
}

static void
begin(void)
{
	struct error err = ERROR_INIT;

	loop = loop_new(&err);
	ports = ports_new(loop, 0, &err);
	REQUIRE(ports, "%s", err.msg);
}

static void
finish(void)
{
	ports_free(ports);
	loop_free(loop);
}

TestSuite(ports, .init = begin, .fini = finish);

/* Returns the host's end of a new connection. */
static int
connect_from(uint32_t port)
{
	int fds[2];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	ports_add(ports, port, fds[0]);
	return fds[1];
}

static struct asked
ask(uint32_t in, uint32_t out, uint32_t err)
{
	return (struct asked){ .request = { .port = { in, out, err }, .done = on_done } };
}

static void
close_all(struct asked *a)
{
	for (size_t i = 0; i < PORTS_STREAMS; i++)
		close_fd(&a->request.fd[i]);
}

static bool
is_connected(int host, int ours)
{
	char c = 0;

	return write(ours, "x", 1) == 1 && read(host, &c, 1) == 1 && c == 'x';
}

static bool
is_closed(int host)
{
	char c;

	return read(host, &c, 1) == 0;
}

Test(ports, what_is_there_is_taken_once)
{
	struct asked a = ask(0, 7, 9), again = ask(7, 0, 0);
	struct error err = ERROR_INIT;
	int seven = connect_from(7), nine = connect_from(9);

	REQUIRE_OK(ports_take(ports, &a.request, &err), &err);
	REQUIRE_EQ(a.request.fd[0], -1);
	REQUIRE(is_connected(seven, a.request.fd[1]));
	REQUIRE(is_connected(nine, a.request.fd[2]));
	REQUIRE_EQ(ports_take(ports, &again.request, &err), 1);
	pending_cancel(&(struct pending *){ &again.request.pending });
	close_all(&a);
	REQUIRE(is_closed(seven) && is_closed(nine));
	close(seven);
	close(nine);
}

Test(ports, a_connection_may_come_behind_the_call)
{
	struct asked a = ask(1, 2, 0), other = ask(3, 0, 0);
	struct error err = ERROR_INIT;
	int one, two, three;

	one = connect_from(1);
	REQUIRE_EQ(ports_take(ports, &a.request, &err), 1);
	REQUIRE_EQ(ports_take(ports, &other.request, &err), 1);
	three = connect_from(3);
	REQUIRE_EQ(other.done, 1);
	REQUIRE_EQ(a.done, 0);
	two = connect_from(2);
	REQUIRE_EQ(a.done, 1);
	REQUIRE_EQ(a.err.code, ERROR_OK);
	REQUIRE(is_connected(one, a.request.fd[0]) && is_connected(two, a.request.fd[1]));
	REQUIRE(is_connected(three, other.request.fd[0]));
	close_all(&a);
	close_all(&other);
	close(one);
	close(two);
	close(three);
}

Test(ports, one_that_never_comes_is_told_and_the_others_stay)
{
	struct asked a = ask(1, 2, 0), later = ask(1, 0, 0);
	struct error err = ERROR_INIT;
	uint64_t before = monotonic_ns();
	int one = connect_from(1);

	REQUIRE_EQ(ports_take(ports, &a.request, &err), 1);
	while (!a.done && monotonic_ns() - before < 60000000000ull)
		REQUIRE_OK(loop_run_once(loop, 100, &err), &err);
	REQUIRE_EQ(a.done, 1);
	REQUIRE_EQ(a.err.code, ERROR_NOT_FOUND);
	REQUIRE_HAS(a.err.msg, "port 2");
	REQUIRE_GE(monotonic_ns() - before, PORTS_WAIT_MS * 1000000ull);
	REQUIRE_EQ(a.request.fd[0], -1);
	REQUIRE_OK(ports_take(ports, &later.request, &err), &err);
	close_all(&later);
	close(one);
}

Test(ports, one_port_for_two_streams_is_refused)
{
	struct asked a = ask(5, 0, 5);
	struct error err = ERROR_INIT;

	REQUIRE_EQ(ports_take(ports, &a.request, &err), -1);
	REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
}

Test(ports, so_many_are_kept_and_the_oldest_go)
{
	static int host[PORTS_KEPT_MAX + 2];
	struct asked a = ask(3, PORTS_KEPT_MAX + 2, 0);
	struct error err = ERROR_INIT;

	for (uint32_t i = 0; i < PORTS_KEPT_MAX + 2; i++)
		host[i] = connect_from(i + 1);
	REQUIRE(is_closed(host[0]) && is_closed(host[1]));
	REQUIRE_OK(ports_take(ports, &a.request, &err), &err);
	close_all(&a);
	for (uint32_t i = 0; i < PORTS_KEPT_MAX + 2; i++)
		close(host[i]);
}

Test(ports, the_newest_from_a_port_counts)
{
	struct asked a = ask(4, 0, 0);
	struct error err = ERROR_INIT;
	int old = connect_from(4), new = connect_from(4);

	REQUIRE(is_closed(old));
	REQUIRE_OK(ports_take(ports, &a.request, &err), &err);
	REQUIRE(is_connected(new, a.request.fd[0]));
	close_all(&a);
	close(old);
	close(new);
}
