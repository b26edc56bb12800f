/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in a byte stream that may be split anywhere, from an untrusted peer. */
#include "lib/ttrpc/frame.h"

#include <string.h>

static void frame_put32(uint8_t *out, uint32_t v);
static uint32_t frame_get32(const uint8_t *in);
static size_t frame_min(size_t a, size_t b);
static enum frame_event frame_fail(struct frame_reader *reader, enum frame_event event);
static enum frame_event frame_header_ready(struct frame_reader *reader);

void
frame_header_encode(const struct frame_header *header, uint8_t out[FRAME_HEADER_SIZE])
{
	frame_put32(out, header->length);
	frame_put32(out + 4, header->stream);
	out[8] = header->type;
	out[9] = header->flags;
}

static void
frame_put32(uint8_t *out, uint32_t v)
{
	out[0] = (uint8_t)(v >> 24);
	out[1] = (uint8_t)(v >> 16);
	out[2] = (uint8_t)(v >> 8);
	out[3] = (uint8_t)v;
}

void
frame_header_decode(struct frame_header *header, const uint8_t in[FRAME_HEADER_SIZE])
{
	header->length = frame_get32(in);
	header->stream = frame_get32(in + 4);
	header->type = in[8];
	header->flags = in[9];
}

static uint32_t
frame_get32(const uint8_t *in)
{
	return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

void
frame_reader_init(struct frame_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
	buf_init(&reader->payload, FRAME_PAYLOAD_MAX);
}

void
frame_reader_release(struct frame_reader *reader)
{
	buf_release(&reader->payload);
	frame_reader_init(reader);
}

enum frame_event
frame_reader_feed(struct frame_reader *reader, const uint8_t *data, size_t n, size_t *used)
{
	size_t take;

	*used = 0;
	if (reader->failed)
		return (enum frame_event)reader->failed;
	if (reader->ready) {
		reader->ready = 0;
		reader->n_head = 0;
		buf_consume(&reader->payload, buf_len(&reader->payload));
	}
	if (reader->skip > 0) {
		take = frame_min(n, reader->skip);
		reader->skip -= (uint32_t)take;
		*used = take;
		if (reader->skip > 0)
			return FRAME_MORE;
		if (reader->skip_closes)
			return frame_fail(reader, FRAME_CLOSE);
		reader->n_head = 0;
	}
	if (reader->n_head < FRAME_HEADER_SIZE) {
		take = frame_min(n - *used, (size_t)(FRAME_HEADER_SIZE - reader->n_head));
		if (take == 0)
			return FRAME_MORE;
		memcpy(reader->head + reader->n_head, data + *used, take);
		reader->n_head = (uint8_t)(reader->n_head + take);
		*used += take;
		if (reader->n_head < FRAME_HEADER_SIZE)
			return FRAME_MORE;
		if (frame_header_ready(reader) == FRAME_OVERSIZE)
			return FRAME_OVERSIZE;
	}
	take = frame_min(n - *used, reader->header.length - buf_len(&reader->payload));
	if (take > 0 && buf_append(&reader->payload, data + *used, take) < 0)
		return frame_fail(reader, FRAME_NOMEM);
	*used += take;
	if (buf_len(&reader->payload) < reader->header.length)
		return FRAME_MORE;
	reader->ready = 1;
	return FRAME_READY;
}

bool
frame_reader_peek(const struct frame_reader *reader, const uint8_t *data, size_t n,
		  struct frame_header *header)
{
	bool is_inside =
		reader->failed || reader->skip > 0 || (!reader->ready && reader->n_head > 0);

	if (is_inside || n < FRAME_HEADER_SIZE)
		return false;
	frame_header_decode(header, data);
	return header->length <= FRAME_PAYLOAD_MAX && header->length <= n - FRAME_HEADER_SIZE;
}

static size_t
frame_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static enum frame_event
frame_fail(struct frame_reader *reader, enum frame_event event)
{
	reader->failed = (uint8_t)event;
	buf_release(&reader->payload);
	return event;
}

/* Decodes a complete header and checks the length of the payload. */
static enum frame_event
frame_header_ready(struct frame_reader *reader)
{
	uint32_t length;

	frame_header_decode(&reader->header, reader->head);
	length = reader->header.length;
	if (length <= FRAME_PAYLOAD_MAX)
		return FRAME_MORE;
	reader->skip_closes = length > FRAME_PAYLOAD_MAX + FRAME_DRAIN_MAX;
	reader->skip = reader->skip_closes ? FRAME_PAYLOAD_MAX + FRAME_DRAIN_MAX : length;
	return FRAME_OVERSIZE;
}

uint8_t *
frame_reader_room(struct frame_reader *reader, size_t max, size_t *n)
{
	size_t len = buf_len(&reader->payload);

	if (reader->failed || reader->ready || reader->skip > 0 ||
	    reader->n_head < FRAME_HEADER_SIZE || len == 0 || len >= reader->header.length)
		return NULL;
	*n = frame_min(reader->header.length - len, frame_min(len, max));
	return buf_reserve(&reader->payload, *n);
}

void
frame_reader_received(struct frame_reader *reader, size_t n)
{
	buf_commit(&reader->payload, n);
}

void
frame_reader_take(struct frame_reader *reader, struct buf *out)
{
	*out = reader->payload;
	buf_init(&reader->payload, FRAME_PAYLOAD_MAX);
}

bool
frame_reader_is_partial(const struct frame_reader *reader)
{
	return !reader->ready && reader->n_head > 0;
}
