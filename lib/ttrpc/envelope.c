/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few bytes of an envelope are written by hand, so that the message can be packed directly
 * after them. Field numbers are those of proto/ttrpc.proto.
 */
#include "lib/ttrpc/envelope.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/pbcheck.h"
#include "lib/ttrpc/frame.h"
#include "ttrpc.pb-c.h"

#define TAG_VARINT(number) ((number) << 3)
#define TAG_BYTES(number)  ((number) << 3 | 2)

#define REQUEST_SERVICE  1
#define REQUEST_METHOD   2
#define REQUEST_PAYLOAD  3
#define REQUEST_TIMEOUT  4
#define REQUEST_METADATA 5
#define METADATA_KEY     1
#define METADATA_VALUE   2
#define RESPONSE_STATUS  1
#define RESPONSE_PAYLOAD 2
#define STATUS_CODE      1
#define STATUS_MESSAGE   2

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_64 = 1,
	WIRE_BYTES = 2,
	WIRE_32 = 5,
};

/* A field of a message that has been checked. */
struct field {
	/* Value of a varint, or length of bytes. */
	uint64_t number, value;
	enum wire_type type;
	const uint8_t *bytes;
};

static uint8_t *put_message(uint8_t *at, uint8_t number, const ProtobufCMessage *message, size_t n);
static bool next_field(const uint8_t **at, const uint8_t *end, struct field *f);
static void copy_name(char out[ENVELOPE_NAME_MAX], const struct field *f);
static void read_metadata(const struct field *pair, char out[ENVELOPE_NAME_MAX]);

static size_t
varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

static uint8_t *
put_varint(uint8_t *at, uint64_t v)
{
	while (v > 0x7f) {
		*at++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*at++ = (uint8_t)v;
	return at;
}

/* Writes tag and length, and reserves room for the content. Empty content is omitted, as in
 * proto3. */
static size_t
bytes_size(size_t n)
{
	return n ? 1 + varint_size(n) + n : 0;
}

/* Writes tag and length; the content follows. */
static uint8_t *
put_bytes(uint8_t *at, uint8_t number, const void *data, size_t n)
{
	if (!n)
		return at;
	*at++ = TAG_BYTES(number);
	at = put_varint(at, n);
	if (data)
		memcpy(at, data, n);
	return at + n;
}

/* Reserves room for a frame with n bytes of payload and writes its header. Returns NULL if that
 * fails. */
static uint8_t *
frame_begin(struct buf *out, uint32_t stream, enum frame_type type, size_t n)
{
	struct frame_header header = { .length = (uint32_t)n,
				       .stream = stream,
				       .type = (uint8_t)type };
	uint8_t *at = buf_reserve(out, FRAME_HEADER_SIZE + n);

	if (!at)
		return NULL;
	frame_header_encode(&header, at);
	return at + FRAME_HEADER_SIZE;
}

int
envelope_append_request(struct buf *out, uint32_t stream, const char *service, const char *method,
			int64_t timeout_ns, const ProtobufCMessage *message, struct error *err)
{
	size_t n_message = protobuf_c_message_get_packed_size(message);
	size_t n = bytes_size(strlen(service)) + bytes_size(strlen(method)) + bytes_size(n_message);
	uint8_t *at;

	if (timeout_ns)
		n += 1 + varint_size((uint64_t)timeout_ns);
	if (n > FRAME_PAYLOAD_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "%s: request of %zu bytes exceeds the limit of %u", method, n,
				 FRAME_PAYLOAD_MAX);
	at = frame_begin(out, stream, FRAME_REQUEST, n);
	if (!at)
		return error_nomem(err, "packing a request");
	at = put_bytes(at, REQUEST_SERVICE, service, strlen(service));
	at = put_bytes(at, REQUEST_METHOD, method, strlen(method));
	at = put_message(at, REQUEST_PAYLOAD, message, n_message);
	if (timeout_ns) {
		*at++ = TAG_VARINT(REQUEST_TIMEOUT);
		put_varint(at, (uint64_t)timeout_ns);
	}
	buf_commit(out, FRAME_HEADER_SIZE + n);
	return 0;
}

static uint8_t *
put_message(uint8_t *at, uint8_t number, const ProtobufCMessage *message, size_t n)
{
	uint8_t *end = put_bytes(at, number, NULL, n);

	if (n)
		protobuf_c_message_pack(message, end - n);
	return end;
}

int
envelope_append_reply(struct buf *out, uint32_t stream, const ProtobufCMessage *reply,
		      struct error *err)
{
	size_t n_reply = protobuf_c_message_get_packed_size(reply);
	size_t n = 2 + bytes_size(n_reply);
	uint8_t *at;

	if (n > FRAME_PAYLOAD_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "reply of %zu bytes exceeds the limit of %u", n,
				 FRAME_PAYLOAD_MAX);
	at = frame_begin(out, stream, FRAME_RESPONSE, n);
	if (!at)
		return error_nomem(err, "packing a reply");
	/* A status that is present with code 0, that is, without content. */
	*at++ = TAG_BYTES(RESPONSE_STATUS);
	*at++ = 0;
	put_message(at, RESPONSE_PAYLOAD, reply, n_reply);
	buf_commit(out, FRAME_HEADER_SIZE + n);
	return 0;
}

/* Returns the size of what precedes n bytes: header, status, and two tags with lengths. */
static size_t
bytes_prefix_size(size_t n)
{
	return FRAME_HEADER_SIZE + 2 + bytes_size(bytes_size(n)) - n;
}

uint8_t *
envelope_reserve_bytes(struct buf *out, size_t n)
{
	uint8_t *at;

	if (n > FRAME_PAYLOAD_MAX ||
	    bytes_prefix_size(n) + n > FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX)
		return NULL;
	at = buf_reserve(out, bytes_prefix_size(n) + n);
	return at ? at + bytes_prefix_size(n) : NULL;
}

void
envelope_commit_bytes(struct buf *out, uint32_t stream, uint8_t number, size_t reserved, size_t n)
{
	size_t room = bytes_prefix_size(reserved), prefix = bytes_prefix_size(n);
	uint8_t *at = frame_begin(out, stream, FRAME_RESPONSE, prefix - FRAME_HEADER_SIZE + n);

	/* Impossible: the room is there already. */
	if (!at)
		return;
	*at++ = TAG_BYTES(RESPONSE_STATUS);
	*at++ = 0;
	/* Fewer bytes may have shorter lengths, and then come earlier. */
	if (room != prefix)
		memmove(at - FRAME_HEADER_SIZE - 2 + prefix, at - FRAME_HEADER_SIZE - 2 + room, n);
	*at++ = TAG_BYTES(RESPONSE_PAYLOAD);
	at = put_varint(at, bytes_size(n));
	*at++ = (uint8_t)TAG_BYTES(number);
	(void)put_varint(at, n);
	buf_commit(out, prefix + n);
}

int
envelope_append_failure(struct buf *out, uint32_t stream, const struct error *failure)
{
	/* A failure without a code must not be received as success. */
	unsigned code = failure->code ? (unsigned)failure->code : ERROR_UNKNOWN;
	size_t n_message = strnlen(failure->msg, sizeof(failure->msg));
	size_t n_status = 1 + varint_size(code) + bytes_size(n_message);
	size_t n = bytes_size(n_status);
	uint8_t *at = frame_begin(out, stream, FRAME_RESPONSE, n);

	if (!at) {
		errno = ENOMEM;
		return -1;
	}
	at = put_bytes(at, RESPONSE_STATUS, NULL, n_status) - n_status;
	*at++ = TAG_VARINT(STATUS_CODE);
	at = put_varint(at, code);
	put_bytes(at, STATUS_MESSAGE, failure->msg, n_message);
	buf_commit(out, FRAME_HEADER_SIZE + n);
	return 0;
}

int
envelope_read_request(const uint8_t *data, size_t n, const struct pbcheck_limits *limits,
		      struct envelope_request *out, struct error *err)
{
	const uint8_t *end = data + n;
	struct field f;

	memset(out, 0, sizeof(*out));
	if (pbcheck(&ttrpc__request__descriptor, data, n, limits, NULL, err) < 0)
		return -1;
	while (next_field(&data, end, &f)) {
		if (f.type == WIRE_VARINT && f.number == REQUEST_TIMEOUT)
			out->timeout_ns = (int64_t)f.value;
		if (f.type != WIRE_BYTES)
			continue;
		if (f.number == REQUEST_SERVICE)
			copy_name(out->service, &f);
		else if (f.number == REQUEST_METHOD)
			copy_name(out->method, &f);
		else if (f.number == REQUEST_PAYLOAD) {
			out->payload = f.bytes;
			out->payload_len = f.value;
		} else if (f.number == REQUEST_METADATA) {
			read_metadata(&f, out->traceparent);
		}
	}
	return 0;
}

static bool
get_varint(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
	*out = 0;
	for (unsigned int shift = 0; shift < 64 && *at < end; shift += 7) {
		uint8_t byte = *(*at)++;

		*out |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* Reads the next field. Returns false at the end, or if it is truncated, which the check rules
 * out. */
static bool
next_field(const uint8_t **at, const uint8_t *end, struct field *f)
{
	uint64_t tag, n;

	if (*at == end || !get_varint(at, end, &tag))
		return false;
	*f = (struct field){ .number = tag >> 3, .type = (enum wire_type)(tag & 7) };
	switch (f->type) {
	case WIRE_VARINT:
		return get_varint(at, end, &f->value);
	case WIRE_BYTES:
		if (!get_varint(at, end, &n))
			return false;
		f->value = n;
		f->bytes = *at;
		break;
	case WIRE_64:
		n = 8;
		break;
	case WIRE_32:
		n = 4;
		break;
	default:
		return false;
	}
	if (n > (size_t)(end - *at))
		return false;
	*at += n;
	return true;
}

static void
copy_name(char out[ENVELOPE_NAME_MAX], const struct field *f)
{
	size_t n = f->value < ENVELOPE_NAME_MAX ? f->value : ENVELOPE_NAME_MAX - 1;

	memcpy(out, f->bytes, n);
	out[n] = '\0';
}

/* Stores a key of the metadata if it is the one that is used. */
static void
read_metadata(const struct field *pair, char out[ENVELOPE_NAME_MAX])
{
	const uint8_t *at = pair->bytes, *end = pair->bytes + pair->value;
	char key[ENVELOPE_NAME_MAX] = "", value[ENVELOPE_NAME_MAX] = "";
	struct field f;

	while (next_field(&at, end, &f)) {
		if (f.type == WIRE_BYTES && f.number == METADATA_KEY)
			copy_name(key, &f);
		else if (f.type == WIRE_BYTES && f.number == METADATA_VALUE)
			copy_name(value, &f);
	}
	if (strcasecmp(key, "traceparent") == 0)
		memcpy(out, value, ENVELOPE_NAME_MAX);
}
