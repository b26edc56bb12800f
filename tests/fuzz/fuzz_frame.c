/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream, split into pieces according to its first byte, compared with the same stream in
 * one piece: the frames must be equal, and the reader may hold no more than it has received.
 */
#include <stdbool.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/ttrpc/frame.h"
#include "tests/fuzz/target.h"

/* A hash of all results. */
struct digest {
	uint64_t hash;
	unsigned n;
};

static void
digest_add(struct digest *d, const void *data, size_t n)
{
	const uint8_t *p = data;

	/* FNV-1a */
	for (size_t i = 0; i < n; i++)
		d->hash = (d->hash ^ p[i]) * UINT64_C(1099511628211);
}

/* Adds one frame or refusal; encoding a header must give the bytes that it was decoded from. */
static void
event_add(struct digest *d, const struct frame_reader *r, enum frame_event event)
{
	uint8_t head[FRAME_HEADER_SIZE];

	frame_header_encode(&r->header, head);
	MUST(memcmp(head, r->head, sizeof(head)) == 0);
	digest_add(d, head, sizeof(head));
	digest_add(d, &event, sizeof(event));
	if (event == FRAME_READY) {
		MUST(r->header.length <= FRAME_PAYLOAD_MAX);
		MUST(buf_len(&r->payload) == r->header.length);
		digest_add(d, buf_head(&r->payload), buf_len(&r->payload));
	} else if (event == FRAME_OVERSIZE) {
		MUST(r->header.length > FRAME_PAYLOAD_MAX);
	}
	d->n++;
}

/* Returns false once the connection must be closed. */
static bool
feed(struct frame_reader *r, const uint8_t *data, size_t n, struct digest *d, size_t arrived)
{
	size_t at = 0;

	for (;;) {
		size_t used;
		enum frame_event event = frame_reader_feed(r, data + at, n - at, &used);

		MUST(used <= n - at);
		at += used;
		MUST(r->payload.size <= 4 * arrived + 65536);
		if (event == FRAME_MORE) {
			MUST(at == n);
			return true;
		}
		event_add(d, r, event);
		if (event == FRAME_CLOSE || event == FRAME_NOMEM) {
			MUST(frame_reader_feed(r, data, n, &used) == event && used == 0);
			return false;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest whole = { 0 }, pieces = { 0 };
	struct frame_reader r;
	uint32_t schedule;

	if (size == 0)
		return 0;
	schedule = data[0];
	data++;
	size--;

	frame_reader_init(&r);
	(void)feed(&r, data, size, &whole, size);
	frame_reader_release(&r);

	frame_reader_init(&r);
	for (size_t at = 0; at < size;) {
		size_t piece = 1 + (schedule & 63);

		schedule = schedule * 1103515245 + 12345;
		if (piece > size - at)
			piece = size - at;
		if (!feed(&r, data + at, piece, &pieces, at + piece))
			break;
		at += piece;
	}
	frame_reader_release(&r);
	MUST(whole.n == pieces.n && whole.hash == pieces.hash);
	return 0;
}
