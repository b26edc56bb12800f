/* SPDX-License-Identifier: Apache-2.0 */
/* Invalid, unusual, split and late frames: each gets its reply, and the connection stays usable. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/loop.h"
#include "tests/rpc/harness.h"
#include "tests/rpc/raw.h"

#define REPLY_MS 10000

/* Opens a connection; fails the test if that is impossible. */
static bool
opened(struct harness *h, struct raw *r)
{
	struct error err = ERROR_INIT;
	bool ok = raw_open(r, h->address, &err) == 0;

	CHECK(ok, "%s", err.msg);
	return ok;
}

/* Checks that the connection is still served. */
static void
check_usable(struct raw *r, const char *after)
{
	struct raw_reply reply = { 0 };

	CHECK(raw_check(r, 999) && raw_wait(r, 999, REPLY_MS, &reply) && !reply.status.code,
	      "after %s, Check: %s", after, reply.status.msg);
}

/* Sends one frame and waits for the answer on its stream. */
static bool
ask(struct raw *r, const struct buf *frame, uint32_t stream, struct raw_reply *reply)
{
	*reply = (struct raw_reply){ 0 };
	return raw_send(r, buf_head(frame), buf_len(frame)) && raw_wait(r, stream, REPLY_MS, reply);
}

/* ---- the envelope, field by field ---- */

static void
put_field(struct buf *b, unsigned int number, const void *data, size_t n)
{
	uint8_t head[8];
	size_t len = 0;

	head[len++] = (uint8_t)(number << 3 | 2);
	for (size_t v = n;; v >>= 7) {
		head[len++] = (uint8_t)(v > 0x7f ? v | 0x80 : v);
		if (v <= 0x7f)
			break;
	}
	(void)buf_append(b, head, len);
	(void)buf_append(b, data, n);
}

/* Calls a method by any name, valid or not. */
static bool
ask_by_name(struct raw *r, const char *service, size_t service_len, const char *method,
	    size_t method_len, struct raw_reply *reply)
{
	struct buf envelope, frame;
	bool ok;

	buf_init(&envelope, 1 << 20);
	buf_init(&frame, 1 << 20);
	put_field(&envelope, 1, service, service_len);
	put_field(&envelope, 2, method, method_len);
	raw_frame(&frame, 7, FRAME_REQUEST, buf_head(&envelope), buf_len(&envelope));
	ok = ask(r, &frame, 7, reply);
	buf_release(&envelope);
	buf_release(&frame);
	return ok;
}

static void
names(struct harness *h)
{
	static char long_name[64 << 10];
	static const struct {
		const char *what, *name;
		size_t len;
		enum error_code service, method;
	} rows[] = {
		{ "unknown", "Nobody", 6, ERROR_INVALID_ARGUMENT, ERROR_UNIMPLEMENTED },
		{ "empty", "", 0, ERROR_INVALID_ARGUMENT, ERROR_UNIMPLEMENTED },
		{ "64 KiB", long_name, sizeof(long_name), ERROR_INVALID_ARGUMENT,
		  ERROR_UNIMPLEMENTED },
		{ "with NUL", "Check\0x", 7, ERROR_INVALID_ARGUMENT, ERROR_INVALID_ARGUMENT },
		{ "not UTF-8", "Ch\xc0\xaf", 4, ERROR_INVALID_ARGUMENT, ERROR_INVALID_ARGUMENT },
	};
	static struct raw r;

	memset(long_name, 'x', sizeof(long_name));
	if (!opened(h, &r))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw_reply reply;

		CHECK(ask_by_name(&r, rows[i].name, rows[i].len, "Check", 5, &reply) &&
			      reply.status.code == rows[i].service,
		      "service %s: %d %s", rows[i].what, reply.status.code, reply.status.msg);
		CHECK(ask_by_name(&r, "grpc.Health", 11, rows[i].name, rows[i].len, &reply) &&
			      reply.status.code == rows[i].method,
		      "method %s: %d %s", rows[i].what, reply.status.code, reply.status.msg);
		check_usable(&r, rows[i].what);
	}
	raw_close(&r);
}

static void
too_much_metadata(struct harness *h)
{
	static struct raw r;
	struct raw_reply reply;
	struct buf envelope, frame;

	if (!opened(h, &r))
		return;
	buf_init(&envelope, 4 << 20);
	buf_init(&frame, 5 << 20);
	put_field(&envelope, 1, "grpc.Health", 11);
	put_field(&envelope, 2, "Check", 5);
	for (int i = 0; i < 100000; i++)
		put_field(&envelope, 5, "\x0a\x01k\x12\x01v", 6);
	raw_frame(&frame, 7, FRAME_REQUEST, buf_head(&envelope), buf_len(&envelope));
	CHECK(ask(&r, &frame, 7, &reply) && reply.status.code == ERROR_RESOURCE_EXHAUSTED, "%d %s",
	      reply.status.code, reply.status.msg);
	check_usable(&r, "too much metadata");
	buf_release(&envelope);
	buf_release(&frame);
	raw_close(&r);
}

/* ---- sizes ---- */

/* Sends a WriteStdin to an unknown container in a frame with this payload size. */
static void
write_request(struct buf *frame, uint32_t stream, size_t payload)
{
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	size_t overhead;

	q.container_id = (char *)"nobody";
	q.data.data = calloc(1, payload);
	q.data.len = payload - 100;
	raw_request(frame, stream, "WriteStdin", 0, &q);
	overhead = buf_len(frame) - FRAME_HEADER_SIZE - q.data.len;
	buf_consume(frame, buf_len(frame));
	q.data.len = payload - overhead;
	raw_request(frame, stream, "WriteStdin", 0, &q);
	free(q.data.data);
}

static void
sizes(struct harness *h)
{
	static const uint8_t longest[] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 1, 0 };
	static struct raw r;
	struct counts before, after;
	struct raw_reply reply;
	struct buf frame;

	if (!opened(h, &r))
		return;
	buf_init(&frame, 16 << 20);
	write_request(&frame, 5, FRAME_PAYLOAD_MAX);
	CHECK_EQ(buf_len(&frame), FRAME_PAYLOAD_MAX + FRAME_HEADER_SIZE, "%zu", buf_len(&frame));
	CHECK(ask(&r, &frame, 5, &reply) && strstr(reply.status.msg, "nobody not found"),
	      "4 MiB: %d %s", reply.status.code, reply.status.msg);
	buf_consume(&frame, buf_len(&frame));
	{
		uint8_t *big = calloc(1, FRAME_PAYLOAD_MAX + 1);

		raw_frame(&frame, 7, FRAME_REQUEST, big, FRAME_PAYLOAD_MAX + 1);
		free(big);
	}
	CHECK(ask(&r, &frame, 7, &reply) && reply.status.code == ERROR_INVALID_ARGUMENT,
	      "4 MiB and a byte: %d %s", reply.status.code, reply.status.msg);
	check_usable(&r, "an oversize frame");
	harness_count(h, &before);
	CHECK(raw_send(&r, longest, sizeof(longest)) && raw_wait(&r, 9, REPLY_MS, &reply) &&
		      reply.status.code == ERROR_INVALID_ARGUMENT,
	      "4 GiB: %d %s", reply.status.code, reply.status.msg);
	harness_count(h, &after);
	CHECK_LT(after.rss_kib, before.rss_kib + 1024, "RSS grew from %llu to %llu KiB",
		 (unsigned long long)before.rss_kib, (unsigned long long)after.rss_kib);
	buf_release(&frame);
	raw_close(&r);
}

/* ---- streams ---- */

static void
stream_ids(struct harness *h)
{
	static const struct {
		uint32_t id;
		enum error_code code;
	} rows[] = {
		{ 0, ERROR_INVALID_ARGUMENT },
		{ 2, ERROR_INVALID_ARGUMENT },
		{ UINT32_MAX - 1, ERROR_INVALID_ARGUMENT },
		{ UINT32_MAX, ERROR_OK },
		{ 1, ERROR_OK },
		{ 1, ERROR_OK },
	};
	static struct raw r;

	if (!opened(h, &r))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw_reply reply = { 0 };

		CHECK(raw_check(&r, rows[i].id) && raw_wait(&r, rows[i].id, REPLY_MS, &reply) &&
			      reply.status.code == rows[i].code,
		      "stream %u: %d %s", rows[i].id, reply.status.code, reply.status.msg);
	}
	raw_close(&r);
}

/* Two parked calls and one that is answered at once share a stream: exactly three replies. */
static void
a_stream_in_use_twice(struct harness *h)
{
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	static struct raw r;
	struct raw_reply reply;
	struct buf frames;
	unsigned int n = 0;

	if (!opened(h, &r))
		return;
	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	buf_init(&frames, 1 << 16);
	raw_request(&frames, 3, "WaitProcess", 0, &q);
	raw_request(&frames, 3, "WaitProcess", 0, &q);
	CHECK(raw_send(&r, buf_head(&frames), buf_len(&frames)), "send");
	check_usable(&r, "one stream for two calls");
	CHECK_OK(kill_process(h, "c1", "", SIGKILL, &err), &err);
	while (n < 3 && raw_next(&r, n < 2 ? REPLY_MS : 200, &reply) > 0)
		n += reply.stream == 3;
	CHECK_EQ(n, 2, "%u replies", n);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	buf_release(&frames);
	raw_close(&r);
}

static void
frame_types(struct harness *h)
{
	static struct raw r;
	struct raw_reply reply;
	struct buf frame;

	if (!opened(h, &r))
		return;
	buf_init(&frame, 4096);
	raw_frame(&frame, 5, FRAME_DATA, "data", 4);
	CHECK(ask(&r, &frame, 5, &reply) && reply.status.code == ERROR_INVALID_ARGUMENT &&
		      strcmp(reply.status.msg, "Stream is no longer active") == 0,
	      "%d %s", reply.status.code, reply.status.msg);
	buf_consume(&frame, buf_len(&frame));
	for (int type = 0; type < 256; type++)
		if (type != FRAME_REQUEST && type != FRAME_DATA)
			raw_frame(&frame, 5, (uint8_t)type, "?", 1);
	CHECK(raw_send(&r, buf_head(&frame), buf_len(&frame)), "send");
	CHECK(raw_check(&r, 9) && raw_next(&r, REPLY_MS, &reply) > 0 && reply.stream == 9,
	      "a frame of no known type was answered: stream %u", reply.stream);
	buf_release(&frame);
	raw_close(&r);
}

/* ---- pieces ---- */

static void
every_split(struct harness *h)
{
	Grpc__GuestDetailsRequest q = GRPC__GUEST_DETAILS_REQUEST__INIT;
	static struct raw r;
	struct raw_reply reply;
	struct buf frame;
	size_t size = 0;

	if (!opened(h, &r))
		return;
	buf_init(&frame, 4096);
	raw_request(&frame, 3, "GetGuestDetails", 0, &q);
	for (size_t at = 0; at < buf_len(&frame); at++) {
		bool ok = raw_send(&r, buf_head(&frame), at);

		/* The first part has been read once a call on another connection is answered. */
		if (at > 0)
			(void)check_health(h->client, &reply.status);
		ok = ok && raw_send(&r, buf_head(&frame) + at, buf_len(&frame) - at) &&
		     raw_wait(&r, 3, REPLY_MS, &reply) && reply.status.code == ERROR_OK;
		size = size ? size : reply.size;
		CHECK(ok && reply.size == size, "split at %zu: %d %s", at, reply.status.code,
		      reply.status.msg);
	}
	buf_release(&frame);
	raw_close(&r);
}

static void
a_thousand_frames_in_one_write(struct harness *h)
{
	enum { N = 1000 };
	Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;
	static struct raw r;
	struct raw_reply reply;
	struct buf frames;
	unsigned int n = 0;

	if (!opened(h, &r))
		return;
	buf_init(&frames, 1 << 20);
	for (uint32_t i = 0; i < N; i++)
		raw_request(&frames, 2 * i + 1, "Check", 0, &q);
	CHECK(raw_send(&r, buf_head(&frames), buf_len(&frames)), "send");
	while (n < N && raw_next(&r, REPLY_MS, &reply) > 0 && !reply.status.code &&
	       reply.stream == 2 * n + 1)
		n++;
	CHECK_EQ(n, N, "%u replies in order", n);
	buf_release(&frames);
	raw_close(&r);
}

/* A request whose end never arrives has no effect. */
static void
cut_at_every_offset(struct harness *h)
{
	struct error err = ERROR_INIT;
	struct arena a;
	struct buf frame;
	size_t step = h->soak ? 1 : 29;
	char out[64];

	buf_init(&frame, 1 << 20);
	arena_init(&a, 1 << 20);
	raw_request(&frame, 3, "CreateContainer", 0, make_create(h, &a, "c1", SH("true"), false));
	for (size_t at = 0; at < buf_len(&frame); at += step) {
		static struct raw r;

		if (!opened(h, &r))
			break;
		CHECK(raw_send(&r, buf_head(&frame), at), "offset %zu", at);
		raw_close(&r);
	}
	CHECK(start(h, "c1", &err) < 0 && strstr(err.msg, "c1 not found"), "%s", err.msg);
	CHECK_OK(run_container(h, "c1", SH("true"), out, sizeof(out), &err), &err);
	arena_release(&a);
	buf_release(&frame);
}

/* ---- time limits ---- */

/* Makes a call with a limit of this many nanoseconds. Returns its code. */
static enum error_code
limited(struct harness *h, const char *method, const void *request, int64_t ns, struct error *err)
{
	uint32_t id = ttrpc_client_start(h->client, &grpc__agent_service__descriptor, method,
					 request, ns, NULL, NULL, err);

	*err = ERROR_INIT;
	(void)ttrpc_client_wait(h->client, id, REPLY_MS, NULL, err);
	return err->code;
}

static void
time_limits_of_calls_that_wait(struct harness *h)
{
	static const struct {
		int64_t ns;
		enum error_code code;
	} rows[] = {
		{ 1, ERROR_DEADLINE_EXCEEDED },  { 50000000, ERROR_DEADLINE_EXCEEDED },
		{ -1, ERROR_DEADLINE_EXCEEDED }, { INT64_MIN, ERROR_DEADLINE_EXCEEDED },
		{ INT64_MAX, ERROR_OK },
	};
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "c1", SH("read x"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum error_code code;

		if (rows[i].code == ERROR_OK)
			CHECK_OK(close_stdin(h, "c1", "c1", &err), &err);
		code = limited(h, "WaitProcess", &q, rows[i].ns, &err);
		CHECK_EQ(code, rows[i].code, "%lld ns: %d %s", (long long)rows[i].ns, code,
			 err.msg);
		CHECK(!code || strcmp(err.msg, "timeout") == 0, "%s", err.msg);
	}
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* In time or not, either the container exists or nothing of it is left. */
static void
time_limits_of_create(struct harness *h)
{
	unsigned int made = 0, late = 0;
	struct error err = ERROR_INIT;

	for (int64_t ns = 1; ns < 100000000; ns *= h->soak ? 2 : 8) {
		struct arena a;
		enum error_code code;
		char out[64];

		arena_init(&a, 1 << 20);
		code = limited(h, "CreateContainer", make_create(h, &a, "c1", SH("true"), false),
			       ns, &err);
		arena_release(&a);
		CHECK(!code || (code == ERROR_DEADLINE_EXCEEDED && !strcmp(err.msg, "timeout")),
		      "%lld ns: %d %s", (long long)ns, code, err.msg);
		made += code == ERROR_OK;
		late += code != ERROR_OK;
		if (code == ERROR_OK)
			CHECK_OK(remove_container(h, "c1", &err), &err);
		else
			CHECK_EQ(run_container(h, "c1", SH("true"), out, sizeof(out), &err), 0,
				 "after %lld ns: %s", (long long)ns, err.msg);
	}
	printf("# CreateContainer with a time limit: %u succeeded, %u timed out\n", made, late);
	CHECK_GT(late, 0, "none timed out");
}

const struct test tests_wire[] = {
	{ "names of services and methods", names },
	{ "too much metadata", too_much_metadata },
	{ "4 MiB and one byte more", sizes },
	{ "stream ids", stream_ids },
	{ "one stream id for two calls", a_stream_in_use_twice },
	{ "frame types", frame_types },
	{ "a frame in two parts, split anywhere", every_split },
	{ "a thousand frames in one write", a_thousand_frames_in_one_write },
	{ "CreateContainer cut at every offset", cut_at_every_offset },
	{ "time limits of calls that wait", time_limits_of_calls_that_wait },
	{ "time limits of CreateContainer", time_limits_of_create },
};
const size_t n_tests_wire = ARRAY_LEN(tests_wire);
