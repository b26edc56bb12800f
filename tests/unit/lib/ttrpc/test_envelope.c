/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-written envelope compared with the generated one. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/pbcheck.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/support/check.h"
#include "ttrpc.pb-c.h"

/* Extracts the only frame in `out`. */
static void
open_frame(const struct buf *out, struct frame_header *h, const uint8_t **payload)
{
	REQUIRE_GE(buf_len(out), FRAME_HEADER_SIZE);
	frame_header_decode(h, buf_head(out));
	REQUIRE_EQ(buf_len(out), FRAME_HEADER_SIZE + h->length);
	*payload = buf_head(out) + FRAME_HEADER_SIZE;
}

struct request_row {
	const char *service, *method;
	int64_t timeout_ns;
	const char *container_id;
};

static const struct request_row request_rows[] = {
	{ "grpc.AgentService", "StartContainer", 0, "c1" },
	{ "grpc.AgentService", "StartContainer", 30000000000, "" },
	{ "", "", -1, "" },
	{ "grpc.AgentService", "StartContainer", INT64_MAX,
	  "an id that is long enough for the length of the payload to take two bytes: "
	  "0123456789012345678901234567890123456789012345678901234567890123456789" },
};

Test(envelope, request_is_canonical)
{
	for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++) {
		const struct request_row *row = &request_rows[i];
		Grpc__StartContainerRequest message = GRPC__START_CONTAINER_REQUEST__INIT;
		Ttrpc__Request want = TTRPC__REQUEST__INIT;
		uint8_t inner[512], outer[1024];
		struct error err = ERROR_INIT;
		struct frame_header h;
		const uint8_t *payload;
		struct buf out;
		size_t n;

		message.container_id = (char *)row->container_id;
		want.service = (char *)row->service;
		want.method = (char *)row->method;
		want.timeout_nano = row->timeout_ns;
		want.payload.data = inner;
		want.payload.len = grpc__start_container_request__pack(&message, inner);
		n = ttrpc__request__pack(&want, outer);

		buf_init(&out, 4096);
		REQUIRE_OK(envelope_append_request(&out, 5, row->service, row->method,
						   row->timeout_ns, &message.base, &err),
			   &err);
		open_frame(&out, &h, &payload);
		CHECK_EQ(h.stream, 5);
		CHECK_EQ(h.type, FRAME_REQUEST);
		CHECK_EQ(h.flags, 0);
		REQUIRE_EQ(h.length, n, "row %zu: %u bytes, not %zu", i, h.length, n);
		CHECK_BYTES(payload, outer, n, "row %zu", i);
		buf_release(&out);
	}
}

Test(envelope, reply)
{
	Grpc__HealthCheckResponse reply = GRPC__HEALTH_CHECK_RESPONSE__INIT;
	struct error err = ERROR_INIT;
	struct frame_header h;
	const uint8_t *payload;
	Ttrpc__Response *got;
	struct buf out;

	reply.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	buf_init(&out, 4096);
	REQUIRE_OK(envelope_append_reply(&out, 3, &reply.base, &err), &err);
	open_frame(&out, &h, &payload);
	CHECK_EQ(h.type, FRAME_RESPONSE);
	got = ttrpc__response__unpack(NULL, h.length, payload);
	REQUIRE(got);
	REQUIRE(got->status, "a status must be there even for success");
	CHECK_EQ(got->status->code, 0);
	CHECK_EQ(got->payload.len, 2);
	CHECK_BYTES(got->payload.data, "\x08\x01", 2);
	ttrpc__response__free_unpacked(got, NULL);
	buf_release(&out);
}

/* Equal to the frame that is packed, whatever was reserved, and behind other frames. */
Test(envelope, bytes_in_place)
{
	static const size_t sizes[] = {
		1,     2,     125,   126,   127,     128,     16379,
		16380, 16383, 16384, 70000, 2097151, 2097152, FRAME_PAYLOAD_MAX - 12
	};
	uint8_t *data = malloc(FRAME_PAYLOAD_MAX);
	struct buf want, got;

	REQUIRE(data);
	for (size_t i = 0; i < FRAME_PAYLOAD_MAX; i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	buf_init(&want, 16u << 20);
	buf_init(&got, 16u << 20);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (size_t j = i; j < ARRAY_LEN(sizes); j++) {
			Grpc__ReadStreamResponse reply = GRPC__READ_STREAM_RESPONSE__INIT;
			struct error err = ERROR_INIT;
			uint8_t *room;

			reply.data.data = data;
			reply.data.len = sizes[i];
			REQUIRE_EQ(buf_append(&want, "before", 6), 0);
			REQUIRE_OK(envelope_append_reply(&want, 3, &reply.base, &err), &err);
			REQUIRE_EQ(buf_append(&got, "before", 6), 0);
			room = envelope_reserve_bytes(&got, sizes[j]);
			REQUIRE(room);
			REQUIRE_EQ(buf_len(&got), 6);
			memcpy(room, data, sizes[i]);
			envelope_commit_bytes(&got, 3, 1, sizes[j], sizes[i]);
			REQUIRE_EQ(buf_len(&got), buf_len(&want));
			REQUIRE_EQ(memcmp(buf_head(&got), buf_head(&want), buf_len(&got)), 0,
				   "%zu of %zu bytes", sizes[i], sizes[j]);
			buf_consume(&want, buf_len(&want));
			buf_consume(&got, buf_len(&got));
		}
	}
	CHECK(!envelope_reserve_bytes(&got, FRAME_PAYLOAD_MAX - 11));
	CHECK(!envelope_reserve_bytes(&got, SIZE_MAX));
	buf_release(&want);
	buf_release(&got);
	free(data);
}

Test(envelope, too_long)
{
	Grpc__ReadStreamResponse reply = GRPC__READ_STREAM_RESPONSE__INIT;
	Grpc__WriteStreamRequest request = GRPC__WRITE_STREAM_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct buf out;

	/* It is enclosed by 2 bytes of status, 5 of payload and 5 of data. */
	reply.data.len = FRAME_PAYLOAD_MAX - 12;
	reply.data.data = calloc(1, FRAME_PAYLOAD_MAX);
	buf_init(&out, 16u << 20);
	CHECK_OK(envelope_append_reply(&out, 3, &reply.base, &err), &err);
	buf_consume(&out, buf_len(&out));
	reply.data.len++;
	CHECK_EQ(envelope_append_reply(&out, 3, &reply.base, &err), -1);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	CHECK_EQ(buf_len(&out), 0);
	request.data = reply.data;
	CHECK_EQ(envelope_append_request(&out, 3, "s", "m", 0, &request.base, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	CHECK_EQ(buf_len(&out), 0);
	free(reply.data.data);
	buf_release(&out);
}

Test(envelope, failure)
{
	struct error failure = ERROR_INIT;
	struct frame_header h;
	const uint8_t *payload;
	Ttrpc__Response *got;
	struct buf out;

	buf_init(&out, 4096);
	error_set(&failure, ERROR_NOT_FOUND, "container %s not found", "c1");
	REQUIRE_EQ(envelope_append_failure(&out, 3, &failure), 0);
	open_frame(&out, &h, &payload);
	got = ttrpc__response__unpack(NULL, h.length, payload);
	REQUIRE(got && got->status);
	CHECK_EQ(got->status->code, 5);
	CHECK_STR(got->status->message, "container c1 not found");
	CHECK_EQ(got->payload.len, 0);
	ttrpc__response__free_unpacked(got, NULL);
	buf_consume(&out, buf_len(&out));

	/* Missing code: still not a success. */
	failure = ERROR_INIT;
	REQUIRE_EQ(envelope_append_failure(&out, 3, &failure), 0);
	open_frame(&out, &h, &payload);
	got = ttrpc__response__unpack(NULL, h.length, payload);
	REQUIRE(got && got->status);
	CHECK_EQ(got->status->code, ERROR_UNKNOWN);
	ttrpc__response__free_unpacked(got, NULL);
	buf_release(&out);
}

/* Reading in place gives the same result as the generated code, also for bytes that no encoder
 * makes. */
static void
same_as_unpacked(const uint8_t *data, size_t n)
{
	const struct pbcheck_limits limits = PBCHECK_LIMITS_ENVELOPE;
	struct error err = ERROR_INIT;
	struct envelope_request got;
	Ttrpc__Request *want;

	if (envelope_read_request(data, n, &limits, &got, &err) < 0) {
		CHECK_NE(err.code, ERROR_OK);
		return;
	}
	want = ttrpc__request__unpack(NULL, n, data);
	REQUIRE(want);
	CHECK_EQ(got.timeout_ns, want->timeout_nano);
	CHECK_EQ(got.payload_len, want->payload.len);
	if (want->payload.len > 0)
		CHECK_BYTES(got.payload, want->payload.data, want->payload.len);
	CHECK(strncmp(got.service, want->service, ENVELOPE_NAME_MAX - 1) == 0);
	CHECK(strncmp(got.method, want->method, ENVELOPE_NAME_MAX - 1) == 0);
	ttrpc__request__free_unpacked(want, NULL);
}

Test(envelope, request_is_read_in_place)
{
	static const uint8_t strange[][16] = {
		/* The last one wins. */
		{ 0x0a, 1, 'a', 0x0a, 1, 'b', 0x20, 5, 0x20, 7 },
		/* An empty one, too. */
		{ 0x1a, 2, 'x', 'y', 0x1a, 0, 0x12, 0 },
		/* An unknown field. */
		{ 0x9a, 0x06, 1, 'u', 0x0a, 1, 's' },
		/* Of 64 bits. */
		{ 0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8, 0x0a, 1, 's' },
		/* Of 32 bits. */
		{ 0x9d, 0x06, 1, 2, 3, 4, 0x20, 0xff, 0x01 },
	};
	static const size_t sizes[] = { 10, 8, 7, 13, 9 };
	unsigned int seed = 1;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (size_t n = 0; n <= sizes[i]; n++)
			same_as_unpacked(strange[i], n);
	for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++) {
		const struct request_row *row = &request_rows[i];
		Ttrpc__Request q = TTRPC__REQUEST__INIT;
		uint8_t packed[1024];
		size_t n;

		q.service = (char *)row->service;
		q.method = (char *)row->method;
		q.timeout_nano = row->timeout_ns;
		q.payload.data = (uint8_t *)row->container_id;
		q.payload.len = strlen(row->container_id);
		n = ttrpc__request__pack(&q, packed);
		same_as_unpacked(packed, n);
		for (int k = 0; k < 2000; k++) {
			uint8_t kept;
			size_t at = n ? (seed = seed * 1103515245u + 12345u) / 65536 % n : 0;

			kept = packed[at];
			packed[at] = (uint8_t)(seed >> 8);
			same_as_unpacked(packed, n);
			packed[at] = kept;
		}
	}
}

Test(envelope, the_metadata_says_which_trace_it_is)
{
	static const struct pbcheck_limits limits = PBCHECK_LIMITS_ENVELOPE;
	char other_key[] = "tracestate", other[] = "a=b", key[] = "Traceparent",
	     value[] = "00-ab-cd-01";
	Ttrpc__KeyValue pairs[2] = { TTRPC__KEY_VALUE__INIT, TTRPC__KEY_VALUE__INIT };
	Ttrpc__KeyValue *list[] = { &pairs[0], &pairs[1] };
	Ttrpc__Request request = TTRPC__REQUEST__INIT;
	struct envelope_request got;
	struct error err = ERROR_INIT;
	uint8_t data[256];
	size_t n;

	pairs[0].key = other_key;
	pairs[0].value = other;
	pairs[1].key = key;
	pairs[1].value = value;
	request.n_metadata = 1;
	request.metadata = list;
	n = ttrpc__request__pack(&request, data);
	REQUIRE_OK(envelope_read_request(data, n, &limits, &got, &err), &err);
	REQUIRE_STR(got.traceparent, "");
	request.n_metadata = 2;
	n = ttrpc__request__pack(&request, data);
	REQUIRE_OK(envelope_read_request(data, n, &limits, &got, &err), &err);
	REQUIRE_STR(got.traceparent, value);
}
