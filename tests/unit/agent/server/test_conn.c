/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in, replies out: fragments, sizes, ids, names, limits of time, and ends of connections. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "lib/ttrpc/envelope.h"
#include "tests/support/check.h"
#include "tests/unit/agent/server/bench.h"

static struct bench b;
static struct client c;
static struct reply r;

static void
up(void)
{
	bench_init(&b);
	client_init(&c, &b);
}

static void
down(void)
{
	client_release(&c);
	bench_settle(&b);
	struct server_counts counts = server_counts(b.server);
	CHECK_EQ(counts.connections, 0);
	CHECK_EQ(counts.calls, 0);
	CHECK_EQ(counts.memory, 0);
	CHECK_EQ(b.server->queued, 0);
	bench_release(&b);
}

TestSuite(conn, .init = up, .fini = down);

static void
expect_check(uint32_t stream)
{
	REQUIRE(client_call(&c, stream, "Check", 0));
	REQUIRE(client_reply(&c, &r));
	CHECK_EQ(r.stream, stream);
	CHECK_EQ(r.code, 0);
	CHECK_EQ(r.payload, 2);
}

Test(conn, check)
{
	expect_check(1);
	expect_check(UINT32_MAX);
	CHECK_EQ(server_counts(b.server).served, 2);
}

Test(conn, every_split)
{
	struct buf out;

	buf_init(&out, 4096);
	make_call(&out, 7, "Check", 1000);
	for (size_t i = 1; i < buf_len(&out); i++) {
		REQUIRE(client_send(&c, buf_head(&out), i));
		bench_settle(&b);
		REQUIRE(list_entry(b.server->conns.next, struct conn, node)->timer,
			"half a frame has a deadline");
		REQUIRE(client_send(&c, buf_head(&out) + i, buf_len(&out) - i));
		REQUIRE(client_reply(&c, &r), "split at %zu", i);
		REQUIRE(r.stream == 7 && r.code == 0);
		REQUIRE_EQ(list_entry(b.server->conns.next, struct conn, node)->timer, NULL,
			   "an idle connection has no timer");
	}
	for (size_t i = 0; i < buf_len(&out); i++) {
		REQUIRE(client_send(&c, buf_head(&out) + i, 1));
		bench_settle(&b);
	}
	REQUIRE(client_reply(&c, &r));
	buf_release(&out);
}

Test(conn, a_thousand_in_one_write)
{
	struct buf out;

	buf_init(&out, 1u << 20);
	for (uint32_t i = 0; i < 1000; i++)
		make_call(&out, 2 * i + 1, "Check", 0);
	REQUIRE(client_send(&c, buf_head(&out), buf_len(&out)));
	for (uint32_t i = 0; i < 1000; i++) {
		REQUIRE(client_reply(&c, &r));
		REQUIRE_EQ(r.stream, 2 * i + 1);
	}
	buf_release(&out);
}

Test(conn, cut_at_every_offset)
{
	struct buf out;

	buf_init(&out, 4096);
	make_call(&out, 1, "WaitProcess", 0);
	for (size_t i = 0; i < buf_len(&out); i++) {
		struct client cut;

		client_init(&cut, &b);
		REQUIRE(client_send(&cut, buf_head(&out), i));
		client_release(&cut);
		bench_settle(&b);
		REQUIRE_EQ(b.n_parked, 0);
		REQUIRE_EQ(server_counts(b.server).connections, 1);
	}
	buf_release(&out);
}

/* ---- what is logged ---- */

static char logged[8192];

static bool
keep_line(const char *line, size_t len, void *data)
{
	(void)data;
	(void)snprintf(logged, sizeof(logged), "%.*s", (int)len, line);
	return true;
}

static void
send_message(uint32_t stream, const char *method, const ProtobufCMessage *message)
{
	struct error err = ERROR_INIT;
	struct buf out;

	buf_init(&out, 65536);
	REQUIRE_OK(envelope_append_request(&out, stream, "grpc.AgentService", method, 0, message,
					   &err),
		   &err);
	REQUIRE(client_send(&c, buf_head(&out), buf_len(&out)));
	buf_release(&out);
}

#define EXPECT_LOGGED(text) CHECK_HAS(logged, text)

/* A failed call's record says which one, when it is answered from a handler as when it was
 * parked. */
Test(conn, records_name_their_call)
{
	Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	const struct error why = { .code = ERROR_NOT_FOUND, .msg = "gone" };

	log_set_sink(keep_line, NULL);
	log_set_level(LOG_LEVEL_INFO);
	remove.container_id = (char *)"web";
	send_message(1, "RemoveContainer", &remove.base);
	REQUIRE(client_reply(&c, &r));
	EXPECT_LOGGED("\"method\":\"RemoveContainer\"");
	EXPECT_LOGGED("\"container-id\":\"web\"");
	EXPECT_LOGGED("\"event\":\"" EVENT_CALL_FAILED "\"");
	EXPECT_LOGGED("\"code\":\"NOT_FOUND\"");
	CHECK_LACKS(logged, "exec-id", "%s", logged);

	logged[0] = '\0';
	wait.container_id = (char *)"app";
	wait.exec_id = (char *)"e1";
	send_message(3, "WaitProcess", &wait.base);
	bench_settle(&b);
	REQUIRE_EQ(b.n_parked, 1);
	CHECK_EQ(log_context_set(NULL), NULL, "a parked call's context stays");
	call_fail(b.parked[0], &why);
	REQUIRE(client_reply(&c, &r));
	EXPECT_LOGGED("\"method\":\"WaitProcess\"");
	EXPECT_LOGGED("\"container-id\":\"app\"");
	EXPECT_LOGGED("\"exec-id\":\"e1\"");

	/* later records belong to no call */
	log_info("test", "afterwards");
	CHECK_LACKS(logged, "\"method\"", "%s", logged);
	log_set_level(LOG_LEVEL_CRIT);
}

/* ---- what is refused ---- */

static void
send_envelope(uint32_t stream, const char *service, const char *method, const void *payload,
	      size_t n)
{
	ProtobufCMessage none = PROTOBUF_C_MESSAGE_INIT(&grpc__destroy_sandbox_request__descriptor);
	struct error err = ERROR_INIT;
	struct buf out;

	(void)payload;
	(void)n;
	buf_init(&out, FRAME_PAYLOAD_MAX + 4096);
	REQUIRE_OK(envelope_append_request(&out, stream, service, method, 0, &none, &err), &err);
	REQUIRE(client_send(&c, buf_head(&out), buf_len(&out)));
	buf_release(&out);
}

Test(conn, ids_and_names)
{
	static char long_name[65537];
	static const struct {
		const char *name;
		uint32_t stream;
		const char *service, *method;
		int code;
		const char *text;
	} rows[] = {
		{ "even", 2, "grpc.Health", "Check", 3, "stream id must be odd" },
		{ "zero", 0, "grpc.Health", "Check", 3, "stream id must be odd" },
		{ "service", 1, "grpc.Nothing", "Check", 3, "grpc.Nothing " TEXT_NO_SERVICE },
		{ "no service", 1, "", "Check", 3, " " TEXT_NO_SERVICE },
		{ "method", 1, "grpc.Health", "Chuck", 12, "Chuck method" },
		{ "no method", 1, "grpc.Health", "", 12, " method" },
		{ "of the other", 1, "grpc.Health", "WaitProcess", 12, "WaitProcess method" },
		{ "open", 1, "grpc.AgentService", "SetPolicy", 12,
		  "SetPolicy method is not implemented" },
		{ "open too", 1, "grpc.Health", "Version", 12,
		  "Version method is not implemented" },
		{ "UTF-8", 1, "grpc.\xff", "Check", 3, "" },
		{ "long", 1, long_name, "Check", 3, "xxx" },
		{ "no reason", 1, "grpc.AgentService", "PauseContainer", 13,
		  "PauseContainer failed without a reason" },
		{ "raw bytes", 1, "grpc.AgentService", "RemoveContainer", 5, "raw ?? bytes" },
	};

	memset(long_name, 'x', sizeof(long_name) - 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		send_envelope(rows[i].stream, rows[i].service, rows[i].method, NULL, 0);
		REQUIRE(client_reply(&c, &r), "%s", rows[i].name);
		CHECK_EQ(r.stream, rows[i].stream, "%s", rows[i].name);
		CHECK_EQ(r.code, rows[i].code, "%s: %d", rows[i].name, r.code);
		CHECK(strncmp(r.message, rows[i].text, strlen(rows[i].text)) == 0, "%s: %s",
		      rows[i].name, r.message);
	}
	expect_check(3);
}

static void
send_header(uint32_t length, uint32_t stream, uint8_t type)
{
	const struct frame_header header = { .length = length, .stream = stream, .type = type };
	uint8_t bytes[FRAME_HEADER_SIZE];

	frame_header_encode(&header, bytes);
	REQUIRE(client_send(&c, bytes, sizeof(bytes)));
}

Test(conn, frame_types)
{
	send_header(0, 5, FRAME_DATA);
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 5 && r.code == 3);
	CHECK_STR(r.message, "Stream is no longer active");
	send_header(0, 5, FRAME_RESPONSE);
	send_header(0, 5, 77);
	/* nothing was answered to those two */
	expect_check(1);
	send_header(3, 9, FRAME_REQUEST);
	REQUIRE(client_send(&c, "\xff\xff\xff", 3));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 9 && r.code == 3);
	expect_check(11);
}

Test(conn, sizes)
{
	static const char zeros[65536];
	size_t left;

	/* Exactly the limit is a request (a bad one); one byte more is refused, and skipped. */
	for (size_t more = 0; more < 2; more++) {
		send_header((uint32_t)(FRAME_PAYLOAD_MAX + more), 21, FRAME_REQUEST);
		for (left = FRAME_PAYLOAD_MAX + more; left > 0;) {
			size_t n = left < sizeof(zeros) ? left : sizeof(zeros);

			REQUIRE(client_send(&c, zeros, n));
			left -= n;
		}
		REQUIRE(client_reply(&c, &r));
		CHECK(r.stream == 21 && r.code == 3, "%d", r.code);
		expect_check(1);
		CHECK_LE(list_entry(b.server->conns.next, struct conn, node)->reader.payload.size,
			 READ_MAX);
	}
	/* Far more ends the connection, and costs no memory. */
	send_header(UINT32_MAX, 23, FRAME_REQUEST);
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 23 && r.code == 3);
	CHECK_EQ(server_counts(b.server).memory, 0);
	for (left = 0; client_send(&c, zeros, sizeof(zeros)); left += sizeof(zeros))
		REQUIRE_LE(left, FRAME_PAYLOAD_MAX + FRAME_DRAIN_MAX + (1u << 20));
	CHECK(!client_reply(&c, &r));
	CHECK(c.is_closed);
}

Test(conn, garbage)
{
	uint64_t seed = 88172645463325252ull;

	for (int round = 0; round < 50; round++) {
		struct client noise;
		uint8_t bytes[4096];

		for (size_t i = 0; i < sizeof(bytes); i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bytes[i] = (uint8_t)seed;
		}
		client_init(&noise, &b);
		(void)client_send(&noise, bytes, sizeof(bytes));
		bench_settle(&b);
		client_release(&noise);
	}
	expect_check(1);
}

Test(conn, big_reply)
{
	b.read_size = FRAME_PAYLOAD_MAX - 64;
	REQUIRE(client_call(&c, 1, "ReadStdout", 0));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.code == 0 && r.payload > b.read_size);
	b.read_size = FRAME_PAYLOAD_MAX;
	REQUIRE(client_call(&c, 3, "ReadStdout", 0));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 3 && r.code == ERROR_INVALID_ARGUMENT, "%d %s", r.code, r.message);
	expect_check(5);
}

Test(conn, blank)
{
	b.read_size = 100;
	b.is_blank = true;
	REQUIRE(client_call(&c, 1, "ReadStdout", 0));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.code == 0 && r.payload == 0);
	b.read_room = 1000;
	REQUIRE(client_call(&c, 3, "ReadStdout", 0));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 3 && r.code == 0 && r.payload == 0);
}

/* Replies that are filled in place, between others, and of lengths that shorten the header. */
Test(conn, replies_in_place)
{
	static const size_t sizes[] = { 1, 127, 128, 16000, 16384, 65536 };
	struct buf out;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t n = sizes[i];

		for (size_t more = 0; more < 20000; more += 6000) {
			b.read_size = n;
			b.read_room = n + more;
			buf_init(&out, 4096);
			make_call(&out, 1, "Check", 0);
			make_call(&out, 3, "ReadStdout", 0);
			make_call(&out, 5, "ReadStdout", 0);
			make_call(&out, 7, "Check", 0);
			REQUIRE(client_send(&c, buf_head(&out), buf_len(&out)));
			for (uint32_t stream = 1; stream <= 7; stream += 2) {
				bool is_read = stream == 3 || stream == 5;

				REQUIRE(client_reply(&c, &r));
				REQUIRE_EQ(r.stream, stream);
				REQUIRE_EQ(r.code, 0);
				REQUIRE_EQ(r.payload, is_read ? n + 2 + (n > 127) + (n > 16383) : 2,
					   "%zu of %zu bytes", n, n + more);
			}
			REQUIRE_EQ(b.server->queued, 0);
			buf_release(&out);
		}
	}
}

/* Replies that a peer does not read are counted. */
Test(conn, replies_in_place_are_counted)
{
	b.read_size = b.read_room = 1u << 20;
	for (uint32_t i = 0; i < 3; i++)
		REQUIRE(client_call(&c, 2 * i + 1, "ReadStdout", 0));
	bench_settle(&b);
	CHECK_GT(b.server->queued, 0);
	CHECK_LE(b.server->queued, OUT_HIGH + b.read_size + 100);
	for (uint32_t i = 0; i < 3; i++)
		REQUIRE(client_reply(&c, &r));
	CHECK_EQ(b.server->queued, 0);
}

/* More than a frame holds does not fit in the queue. */
Test(conn, room_that_is_too_large)
{
	b.read_room = FRAME_PAYLOAD_MAX;
	b.read_size = 5;
	REQUIRE(client_call(&c, 1, "ReadStdout", 0));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.code == 0 && r.payload == 7, "%d %zu", r.code, r.payload);
}

static void
put_write(struct buf *out, uint32_t stream, uint8_t *data, size_t n)
{
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	struct error err = ERROR_INIT;

	memset(data, (int)stream, n);
	q.data.data = data;
	q.data.len = n;
	REQUIRE_OK(envelope_append_request(out, stream, grpc__agent_service__descriptor.name,
					   "WriteStdin", 0, &q.base, &err),
		   &err);
}

/* The data of parked calls is theirs, in whatever buffer their frames arrived: many in one read, in
 * several reads, or in memory of their own. */
Test(conn, kept_bytes)
{
	static const size_t sizes[] = { 1, 1023, 1024, 15000, 30000, 65000, 300000, 2000000 };
	static uint8_t data[2000000];
	struct buf out;

	b.written = 1;
	buf_init(&out, 16u << 20);
	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++)
		put_write(&out, (uint32_t)(2 * i + 1), data, sizes[i % ARRAY_LEN(sizes)]);
	REQUIRE(client_send(&c, buf_head(&out), buf_len(&out)));
	bench_settle(&b);
	REQUIRE_EQ(b.n_kept, 2 * ARRAY_LEN(sizes));
	CHECK_GE(server_counts(b.server).memory, 2u * 2411048u);
	for (size_t i = 0; i < b.n_kept; i++) {
		memset(data, (int)(2 * i + 1), sizeof(data));
		REQUIRE_EQ(memcmp(b.kept[i], data, sizes[i % ARRAY_LEN(sizes)] - 1), 0, "%zu", i);
		call_reply(b.writes[i]);
		REQUIRE(client_reply(&c, &r));
		REQUIRE_EQ(r.code, 0);
	}
	CHECK_EQ(server_counts(b.server).memory, 0);
	buf_release(&out);
}

/* Kept frames are limited like all requests, and the connection continues. */
Test(conn, kept_bytes_are_limited)
{
	static uint8_t data[4000000];
	unsigned int refused = 0;
	struct buf out;

	buf_init(&out, 64u << 20);
	for (uint32_t i = 0; i < 12; i++)
		put_write(&out, 2 * i + 1, data, sizeof(data));
	REQUIRE(client_send(&c, buf_head(&out), buf_len(&out)));
	bench_settle(&b);
	CHECK_LE(server_counts(b.server).memory, MEMORY_MAX);
	REQUIRE_LT(b.n_kept, 12);
	CHECK_GE(b.n_kept, 6);
	for (refused = 0; refused < 12 - b.n_kept; refused++) {
		REQUIRE(client_reply(&c, &r));
		REQUIRE_EQ(r.code, ERROR_RESOURCE_EXHAUSTED, "%s", r.message);
	}
	for (size_t i = 0; i < b.n_kept; i++) {
		call_reply(b.writes[i]);
		REQUIRE(client_reply(&c, &r));
	}
	expect_check(99);
	CHECK_EQ(server_counts(b.server).memory, 0);
	buf_release(&out);
}

static int
low_water(void)
{
	const struct conn *conn = list_entry(b.server->conns.next, struct conn, node);
	socklen_t size = sizeof(int);
	int mark = 0;

	REQUIRE_EQ(getsockopt(conn->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, &size), 0);
	return mark;
}

static void
send_part(const struct buf *out, size_t *at, size_t n)
{
	REQUIRE(client_send(&c, buf_head(out) + *at, n));
	bench_settle(&b);
	*at += n;
}

/* vsock collects the rest of a frame, but never more than the peer has to send in time. */
Test(conn, low_water)
{
	static uint8_t data[100000];
	struct buf out;
	struct conn *conn;
	size_t at = 0, n;

	expect_check(99);
	conn = list_entry(b.server->conns.next, struct conn, node);
	buf_init(&out, 1u << 20);
	put_write(&out, 1, data, sizeof(data));
	n = buf_len(&out);
	/* Another kind of socket would ignore it. */
	send_part(&out, &at, n);
	REQUIRE_EQ(low_water(), 1);
	conn->is_vsock = true;
	at = 0;
	send_part(&out, &at, 5);
	CHECK_EQ(low_water(), 1);
	send_part(&out, &at, 5);
	CHECK_EQ(low_water(), SLOW_BYTES);
	send_part(&out, &at, 1000);
	CHECK_EQ(low_water(), SLOW_BYTES - 1000);
	send_part(&out, &at, SLOW_BYTES - 1000);
	CHECK_EQ(low_water(), SLOW_BYTES);
	b.server->runtime = conn;
	send_part(&out, &at, 1);
	CHECK_EQ(low_water(), LOW_WATER_MAX);
	b.server->runtime = NULL;
	send_part(&out, &at, n - at - 77);
	CHECK_EQ(low_water(), 77);
	send_part(&out, &at, 77);
	CHECK_EQ(low_water(), 1);
	/* Bytes that are skipped. */
	frame_header_encode(&(struct frame_header){ .length = FRAME_PAYLOAD_MAX + 1, .stream = 3 },
			    data);
	REQUIRE(client_send(&c, data, FRAME_HEADER_SIZE));
	REQUIRE(client_reply(&c, &r));
	CHECK_EQ(r.code, ERROR_INVALID_ARGUMENT);
	bench_settle(&b);
	CHECK_EQ(low_water(), SLOW_BYTES);
	for (size_t i = 0; i < b.n_kept; i++)
		call_reply(b.writes[i]);
	buf_release(&out);
}

/* ---- calls that wait ---- */

Test(conn, replies_out_of_order)
{
	for (uint32_t i = 1; i <= 5; i += 2)
		REQUIRE(client_call(&c, i, "WaitProcess", 0));
	expect_check(7);
	REQUIRE_EQ(b.n_parked, 3);
	for (size_t i = 3; i-- > 0;) {
		((Grpc__WaitProcessResponse *)call_response(b.parked[i]))->status = 9;
		call_reply(b.parked[i]);
		REQUIRE(client_reply(&c, &r));
		CHECK_EQ(r.stream, 2 * i + 1);
		CHECK(r.code == 0 && r.payload == 2);
	}
	CHECK_EQ(b.n_cancelled, 0);
}

Test(conn, same_id_twice)
{
	REQUIRE(client_call(&c, 1, "WaitProcess", 0));
	REQUIRE(client_call(&c, 1, "WaitProcess", 0));
	bench_settle(&b);
	REQUIRE_EQ(b.n_parked, 2);
	struct error err = ERROR_INIT;
	error_set(&err, ERROR_ABORTED, "no");
	call_fail(b.parked[1], &err);
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 1 && r.code == ERROR_ABORTED);
	call_reply(b.parked[0]);
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 1 && r.code == 0);
}

Test(conn, answered_from_inside)
{
	REQUIRE(client_call(&c, 1, "StartContainer", 5000000));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 1 && r.code == 0);
	CHECK_EQ(server_counts(b.server).calls, 0);
}

Test(conn, timeouts)
{
	static const struct {
		const char *method;
		int64_t ns;
		/* -1: stays parked */
		int code;
	} rows[] = {
		{ "Check", -1, ERROR_DEADLINE_EXCEEDED },
		{ "WaitProcess", -1, ERROR_DEADLINE_EXCEEDED },
		{ "WaitProcess", INT64_MIN, ERROR_DEADLINE_EXCEEDED },
		{ "Check", 1, 0 },
		{ "WaitProcess", 1, ERROR_DEADLINE_EXCEEDED },
		{ "WaitProcess", 20000000, ERROR_DEADLINE_EXCEEDED },
		{ "WaitProcess", INT64_MAX, -1 },
		{ "WaitProcess", INT64_MAX - 1, -1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t cancelled = b.n_cancelled, parked = b.n_parked;

		REQUIRE(client_call(&c, 1, rows[i].method, rows[i].ns));
		if (rows[i].code < 0) {
			bench_settle(&b);
			CHECK_EQ(b.n_parked, parked + 1);
			CHECK_EQ(b.n_cancelled, cancelled, "row %zu", i);
			continue;
		}
		REQUIRE(client_reply(&c, &r), "row %zu", i);
		CHECK_EQ(r.code, rows[i].code, "row %zu: %d", i, r.code);
		if (r.code)
			CHECK_STR(r.message, "timeout");
		CHECK_EQ(b.n_cancelled - cancelled, b.n_parked - parked, "row %zu", i);
	}
}

Test(conn, end_cancels)
{
	for (uint32_t i = 0; i < 100; i++)
		REQUIRE(client_call(&c, 2 * i + 1, "WaitProcess", i % 2 ? 0 : 60000000000));
	bench_settle(&b);
	REQUIRE_EQ(b.n_parked, 100);
	client_release(&c);
	bench_settle(&b);
	CHECK_EQ(b.n_cancelled, 100);
	CHECK_EQ(server_counts(b.server).calls, 0);
}

Test(conn, what_cannot_be_cancelled_ends_later)
{
	REQUIRE(client_call(&c, 1, "ExecProcess", 0));
	REQUIRE(client_call(&c, 3, "ExecProcess", 1));
	REQUIRE(client_reply(&c, &r));
	CHECK(r.stream == 3 && r.code == ERROR_DEADLINE_EXCEEDED);
	client_release(&c);
	bench_settle(&b);
	CHECK_EQ(server_counts(b.server).connections, 0);
	CHECK_EQ(server_counts(b.server).calls, 2);
	struct error err = ERROR_INIT;
	error_set(&err, ERROR_INTERNAL, "too late");
	call_fail(b.parked[0], &err);
	call_reply(b.parked[1]);
}

Test(conn, half_a_frame_is_late)
{
	uint64_t begin = monotonic_ns();
	struct error err = ERROR_INIT;
	int sent;

	b.server->header_ms = 100;
	b.server->body_ms = 200;
	/* A header must be whole in time, however it trickles. */
	for (sent = 0; sent < 9 && server_counts(b.server).connections == 1; sent++) {
		uint64_t next = deadline_in(40);

		(void)client_send(&c, "\0", 1);
		while (!deadline_is_over(next))
			REQUIRE_OK(loop_run_once(b.loop, 5, &err), &err);
	}
	CHECK_EQ(server_counts(b.server).connections, 0);
	CHECK_LT(sent, 9);
	CHECK_GE(monotonic_ns() - begin, 100000000);

	struct client body;
	client_init(&body, &b);
	const uint8_t header[] = { 0, 0, 0, 50, 0, 0, 0, 1, 1, 0 };
	REQUIRE(client_send(&body, header, sizeof(header)));
	begin = monotonic_ns();
	CHECK(!client_reply(&body, &r));
	CHECK(body.is_closed);
	CHECK_GE(monotonic_ns() - begin, 200000000);
	client_release(&body);
}
