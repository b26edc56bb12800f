/* SPDX-License-Identifier: Apache-2.0 */
/* Spans: the trace that they belong to, their form on the wire, and that a slow collector delays
 * nothing. */
#include <criterion/criterion.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/server/trace.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static struct loop *loop;
static struct tracer *tracer;
static int listener = -1;

static void
begin(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct error err = ERROR_INIT;

	(void)snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "test-trace-%d", getpid());
	loop = loop_new(&err);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	REQUIRE_EQ(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	REQUIRE_EQ(listen(listener, 4), 0);
	tracer = tracer_new(loop, (struct sockaddr *)&addr, sizeof(addr), &err);
	REQUIRE(tracer, "%s", err.msg);
}

static void
finish(void)
{
	tracer_free(tracer);
	close_fd(&listener);
	loop_free(loop);
}

TestSuite(trace, .init = begin, .fini = finish);

static void
turn(void)
{
	struct error err = ERROR_INIT;

	for (int i = 0; i < 5; i++)
		REQUIRE_OK(loop_run_once(loop, 5, &err), &err);
}

static struct trace_span
one(const char *parent)
{
	struct trace_span span = { 0 };

	trace_begin(tracer, &span, "grpc.AgentService", "Check", parent);
	return span;
}

/* Takes a whole span off the connection. */
static void
receive(int fd, char *json, size_t size)
{
	uint64_t n;

	REQUIRE_EQ(read(fd, &n, sizeof(n)), (ssize_t)sizeof(n));
	n = be64toh(n);
	REQUIRE_LT(n, size);
	REQUIRE_EQ(read(fd, json, n), (ssize_t)n);
	json[n] = '\0';
}

Test(trace, a_span_of_the_hosts_trace)
{
	struct trace_span span = one(PARENT);
	char json[2048];
	int fd;

	trace_end(tracer, &span, ERROR_NOT_FOUND);
	turn();
	fd = accept(listener, NULL, NULL);
	REQUIRE_GE(fd, 0);
	turn();
	receive(fd, json, sizeof(json));
	REQUIRE_HAS(json, "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\"");
	REQUIRE_HAS(json, "\"parentSpanId\":\"b7ad6b7169203331\"");
	REQUIRE_HAS(json, "\"name\":\"grpc.AgentService/Check\"");
	REQUIRE_HAS(json, "\"message\":\"NOT_FOUND\"");
	REQUIRE_EQ(json[strlen(json) - 1], '}');
	/* once */
	trace_end(tracer, &span, ERROR_OK);
	span = one(NULL);
	trace_end(tracer, &span, ERROR_OK);
	turn();
	receive(fd, json, sizeof(json));
	REQUIRE_HAS(json, "\"parentSpanId\":\"\"");
	REQUIRE_HAS(json, "STATUS_CODE_OK");
	close(fd);
}

Test(trace, what_is_no_trace_context_is_a_trace_of_its_own)
{
	static const char *const bad[] = {
		"",
		"00",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		PARENT "-more",
		PARENT "x",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct trace_span span = one(bad[i]);

		REQUIRE(span.is_on, "%s", bad[i]);
		REQUIRE_EQ(span.parent_id[0] | span.parent_id[7], 0, "%s", bad[i]);
	}
	REQUIRE_EQ(one("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").parent_id[0],
		   0xb7);
}

Test(trace, what_is_not_sampled_leaves_no_span)
{
	REQUIRE(!(one("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").is_on));
}

Test(trace, without_a_tracer_nothing_happens)
{
	struct trace_span span = { 0 };

	trace_begin(NULL, &span, "s", "m", PARENT);
	REQUIRE(!span.is_on);
	trace_end(NULL, &span, ERROR_OK);
}

Test(trace, nobody_listens)
{
	close_fd(&listener);
	for (int i = 0; i < 5000; i++) {
		struct trace_span span = one(NULL);

		trace_end(tracer, &span, ERROR_OK);
	}
	turn();
	REQUIRE_GT(tracer_dropped(tracer), 0);
}

Test(trace, nobody_reads)
{
	int fd;

	for (int i = 0; i < 5000; i++) {
		struct trace_span span = one(NULL);

		trace_end(tracer, &span, ERROR_OK);
		if (i == 10)
			turn();
	}
	REQUIRE_GT(tracer_dropped(tracer), 0);
	/* spans arrive whole, up to the first one that was dropped */
	fd = accept(listener, NULL, NULL);
	for (int i = 0; i < 100; i++) {
		char json[2048];

		receive(fd, json, sizeof(json));
		REQUIRE_EQ(json[0], '{');
	}
	close(fd);
}
