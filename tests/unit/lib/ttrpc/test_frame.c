/* SPDX-License-Identifier: Apache-2.0 */
/* Frames: the result does not depend on how bytes are split; oversize payloads are skipped. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ttrpc/frame.h"
#include "tests/support/check.h"

/* Feeds all bytes in pieces of `step`. Records events other than FRAME_MORE as text, and sums of
 * payloads. */
struct seen {
	/* R ready, O oversize, C close, N no memory. */
	char events[64];
	size_t n;
	uint32_t streams[64];
	uint32_t sums[64];
	/* Maximum size of the reader's buffer. */
	size_t buffered;
};

static void
feed(struct frame_reader *r, const uint8_t *data, size_t n, size_t step, struct seen *s)
{
	size_t at = 0;

	while (at < n) {
		size_t piece = n - at < step ? n - at : step;
		size_t end = at + piece;

		while (at <= end) {
			size_t used = 0;
			enum frame_event e = frame_reader_feed(r, data + at, end - at, &used);

			REQUIRE_LE(used, end - at);
			at += used;
			if (r->payload.size > s->buffered)
				s->buffered = r->payload.size;
			if (e == FRAME_MORE) {
				REQUIRE_EQ(at, end, "FRAME_MORE with bytes left");
				break;
			}
			REQUIRE_LT(s->n, 63);
			s->streams[s->n] = r->header.stream;
			for (size_t i = 0; e == FRAME_READY && i < buf_len(&r->payload); i++)
				s->sums[s->n] = s->sums[s->n] * 31 + buf_head(&r->payload)[i] + 1;
			s->events[s->n++] = "?ROCN"[e];
			if (e == FRAME_CLOSE || e == FRAME_NOMEM)
				return;
		}
	}
}

static size_t
put_frame(uint8_t *out, uint32_t stream, uint8_t type, const void *payload, uint32_t n)
{
	struct frame_header h = { n, stream, type, 0 };

	frame_header_encode(&h, out);
	memcpy(out + FRAME_HEADER_SIZE, payload, n);
	return FRAME_HEADER_SIZE + n;
}

Test(frame, header)
{
	/* As sent by the runtime of a host for Check. */
	static const uint8_t wire[FRAME_HEADER_SIZE] = { 0, 0, 0, 0x1a, 0, 0, 0, 1, 1, 0 };
	struct frame_header h;
	uint8_t back[FRAME_HEADER_SIZE];

	frame_header_decode(&h, wire);
	CHECK_EQ(h.length, 26);
	CHECK_EQ(h.stream, 1);
	CHECK_EQ(h.type, FRAME_REQUEST);
	CHECK_EQ(h.flags, 0);
	h = (struct frame_header){ 0x01020304, 0xfffffffe, 0x81, 0x7f };
	frame_header_encode(&h, back);
	CHECK_BYTES(back, "\1\2\3\4\xff\xff\xff\xfe\x81\x7f", FRAME_HEADER_SIZE);
}

Test(frame, every_split_point)
{
	uint8_t wire[256];
	struct frame_reader whole, r;
	struct seen want = { 0 };
	size_t n = 0;

	n += put_frame(wire + n, 1, FRAME_REQUEST, "hello", 5);
	n += put_frame(wire + n, 3, FRAME_REQUEST, "", 0);
	n += put_frame(wire + n, 0xffffffff, 77, "a longer payload than the header", 32);
	n += put_frame(wire + n, 5, FRAME_RESPONSE, "", 0);
	frame_reader_init(&whole);
	feed(&whole, wire, n, n, &want);
	REQUIRE_STR(want.events, "RRRR");
	REQUIRE_EQ(want.streams[2], 0xffffffff);
	frame_reader_release(&whole);
	for (size_t first = 1; first < n; first++) {
		struct seen got = { 0 };

		frame_reader_init(&r);
		feed(&r, wire, first, first, &got);
		feed(&r, wire + first, n - first, n, &got);
		REQUIRE_STR(got.events, "RRRR", "split at %zu", first);
		REQUIRE_BYTES(got.sums, want.sums, sizeof(want.sums), "split at %zu", first);
		REQUIRE_BYTES(got.streams, want.streams, sizeof(want.streams));
		REQUIRE(!frame_reader_is_partial(&r));
		frame_reader_release(&r);
	}
	for (size_t step = 1; step < n; step++) {
		struct seen got = { 0 };

		frame_reader_init(&r);
		feed(&r, wire, n, step, &got);
		REQUIRE_BYTES(got.sums, want.sums, sizeof(want.sums), "steps of %zu", step);
		frame_reader_release(&r);
	}
}

/* A frame is used in place only if it is complete and the reader is between frames, and then the
 * reader would return the same one. */
Test(frame, peek)
{
	uint8_t wire[256];
	struct frame_header h;
	struct frame_reader r;
	size_t first = put_frame(wire, 1, FRAME_REQUEST, "hello", 5), used;
	size_t n = first + put_frame(wire + first, 3, FRAME_DATA, "", 0);

	frame_reader_init(&r);
	for (size_t i = 0; i < first; i++)
		REQUIRE(!frame_reader_peek(&r, wire, i, &h), "%zu bytes", i);
	for (size_t i = first; i <= n; i++) {
		REQUIRE(frame_reader_peek(&r, wire, i, &h), "%zu bytes", i);
		REQUIRE_EQ(h.stream, 1);
		REQUIRE_EQ(h.length, 5);
	}
	REQUIRE(frame_reader_peek(&r, wire + first, n - first, &h));
	CHECK_EQ(h.type, FRAME_DATA);
	CHECK_EQ(h.length, 0);
	/* Inside a header and inside a payload; then after the frame. */
	for (size_t i = 1; i < first; i++) {
		REQUIRE_EQ(frame_reader_feed(&r, wire + i - 1, 1, &used), FRAME_MORE);
		REQUIRE(!frame_reader_peek(&r, wire, n, &h), "%zu bytes", i);
	}
	REQUIRE_EQ(frame_reader_feed(&r, wire + first - 1, 1, &used), FRAME_READY);
	REQUIRE(frame_reader_peek(&r, wire + first, n - first, &h));
	/* Bytes that are skipped, and the end after too many of them. */
	h = (struct frame_header){ .length = FRAME_PAYLOAD_MAX + 1, .stream = 5 };
	frame_header_encode(&h, wire);
	REQUIRE(!frame_reader_peek(&r, wire, n, &h));
	REQUIRE_EQ(frame_reader_feed(&r, wire, FRAME_HEADER_SIZE, &used), FRAME_OVERSIZE);
	(void)put_frame(wire, 7, FRAME_REQUEST, "hello", 5);
	REQUIRE(!frame_reader_peek(&r, wire, n, &h));
	frame_reader_release(&r);
	h = (struct frame_header){ .length = UINT32_MAX };
	frame_header_encode(&h, wire);
	REQUIRE(!frame_reader_peek(&r, wire, n, &h));
	frame_reader_release(&r);
}

Test(frame, partial)
{
	struct frame_reader r;
	struct seen s = { 0 };
	uint8_t wire[64];
	size_t n = put_frame(wire, 1, FRAME_REQUEST, "x", 1);

	frame_reader_init(&r);
	CHECK(!frame_reader_is_partial(&r));
	feed(&r, wire, 1, 1, &s);
	CHECK(frame_reader_is_partial(&r));
	feed(&r, wire + 1, n - 1, n, &s);
	CHECK_STR(s.events, "R");
	CHECK(!frame_reader_is_partial(&r));
	frame_reader_release(&r);
}

struct size_row {
	uint32_t length;
	const char *events;
};

/* A frame of this length, followed by a small one. */
static const struct size_row sizes[] = {
	{ FRAME_PAYLOAD_MAX, "RR" },
	{ FRAME_PAYLOAD_MAX + 1, "OR" },
	{ FRAME_PAYLOAD_MAX + FRAME_DRAIN_MAX, "OR" },
	{ FRAME_PAYLOAD_MAX + FRAME_DRAIN_MAX + 1, "OC" },
	{ 0xffffffff, "OC" },
};

Test(frame, limits)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t body = sizes[i].length > (16u << 20) ? (16u << 20) : sizes[i].length;
		uint8_t *wire = calloc(1, body + 64);
		struct frame_header h = { sizes[i].length, 9, FRAME_REQUEST, 0 };
		struct frame_reader r;
		struct seen s = { 0 };
		size_t n = FRAME_HEADER_SIZE + body;

		frame_header_encode(&h, wire);
		n += put_frame(wire + n, 11, FRAME_REQUEST, "ok", 2);
		frame_reader_init(&r);
		feed(&r, wire, n, 65536, &s);
		CHECK_STR(s.events, sizes[i].events, "length %u", sizes[i].length);
		CHECK_EQ(s.streams[0], 9);
		if (sizes[i].events[1] == 'R')
			CHECK_EQ(s.streams[1], 11);
		if (sizes[i].events[0] == 'O')
			CHECK_LT(s.buffered, 4096u, "stored %zu bytes of a refused frame",
				 s.buffered);
		frame_reader_release(&r);
		free(wire);
	}
}

Test(frame, close_is_final)
{
	uint8_t wire[FRAME_HEADER_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 1, 0 };
	static uint8_t zero[1 << 20];
	struct frame_reader r;
	struct seen s = { 0 };
	size_t used;

	frame_reader_init(&r);
	feed(&r, wire, sizeof(wire), 1, &s);
	for (int i = 0; i < 12; i++)
		feed(&r, zero, sizeof(zero), sizeof(zero), &s);
	CHECK_STR(s.events, "OC");
	CHECK_EQ(frame_reader_feed(&r, wire, sizeof(wire), &used), FRAME_CLOSE);
	CHECK_EQ(used, 0);
	frame_reader_release(&r);
}

/* A header alone reserves no memory; the buffer grows with the received bytes. */
Test(frame, memory_follows_bytes)
{
	/* 4 MiB. */
	uint8_t wire[FRAME_HEADER_SIZE] = { 0, 0x40, 0, 0, 0, 0, 0, 1, 1, 0 };
	static uint8_t body[100000];
	struct frame_reader r;
	struct seen s = { 0 };

	frame_reader_init(&r);
	feed(&r, wire, sizeof(wire), sizeof(wire), &s);
	CHECK_EQ(r.payload.size, 0);
	feed(&r, body, 1000, 1000, &s);
	CHECK_LE(r.payload.size, 65536);
	feed(&r, body, sizeof(body), 4096, &s);
	CHECK_LE(r.payload.size, 4 * sizeof(body));
	frame_reader_release(&r);
}

Test(frame, take)
{
	uint8_t wire[64];
	size_t n = put_frame(wire, 1, FRAME_REQUEST, "mine", 4), used;
	struct frame_reader r;
	struct buf mine;
	struct seen s = { 0 };

	frame_reader_init(&r);
	REQUIRE_EQ(frame_reader_feed(&r, wire, n, &used), FRAME_READY);
	frame_reader_take(&r, &mine);
	feed(&r, wire, n, 3, &s);
	CHECK_STR(s.events, "R");
	CHECK_EQ(buf_len(&mine), 4);
	CHECK_BYTES(buf_head(&mine), "mine", 4);
	buf_release(&mine);
	frame_reader_release(&r);
}
