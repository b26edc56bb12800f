/* SPDX-License-Identifier: Apache-2.0 */
/* A frame's payload, decoded as request and as response with their messages, as by server and
 * client. */
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/buf.h"
#include "lib/error.h"
#include "lib/pbcheck.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/fuzz/decode.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/target.h"
#include "ttrpc.pb-c.h"

/* Encoding the decoded message again must give an equivalent envelope. */
static void
envelope_again(const Ttrpc__Request *request, const ProtobufCMessage *message)
{
	Ttrpc__Request plain = TTRPC__REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct buf out;
	uint8_t *want;
	size_t n;

	plain.service = request->service;
	plain.method = request->method;
	plain.timeout_nano = request->timeout_nano;
	plain.payload.len = protobuf_c_message_get_packed_size(message);
	plain.payload.data = malloc(plain.payload.len + 1);
	MUST(plain.payload.data);
	protobuf_c_message_pack(message, plain.payload.data);
	n = ttrpc__request__get_packed_size(&plain);
	want = malloc(n + 1);
	MUST(want);
	ttrpc__request__pack(&plain, want);

	buf_init(&out, FRAME_PAYLOAD_MAX + FRAME_HEADER_SIZE);
	MUST(envelope_append_request(&out, 1, plain.service, plain.method, plain.timeout_nano,
				     message, &err) == 0);
	MUST(buf_len(&out) == FRAME_HEADER_SIZE + n);
	MUST(memcmp(buf_head(&out) + FRAME_HEADER_SIZE, want, n) == 0);
	buf_release(&out);
	free(want);
	free(plain.payload.data);
}

static void
request_open(const uint8_t *data, size_t size)
{
	const struct pbcheck_limits envelope = PBCHECK_LIMITS_ENVELOPE;
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	Ttrpc__Request *request = (Ttrpc__Request *)decode_and_check(&ttrpc__request__descriptor,
								     data, size, &envelope);
	const ProtobufCMethodDescriptor *method;
	const char *service;

	if (!request)
		return;
	for (unsigned i = 0; (method = mutate_method(i, &service)); i++) {
		ProtobufCMessage *message;

		if (strcmp(service, request->service) || strcmp(method->name, request->method))
			continue;
		message = decode_and_check(method->input, request->payload.data,
					   request->payload.len, &limits);
		if (message)
			envelope_again(request, message);
		protobuf_c_message_free_unpacked(message, NULL);
	}
	ttrpc__request__free_unpacked(request, NULL);
}

static void
response_open(const uint8_t *data, size_t size)
{
	const struct pbcheck_limits envelope = PBCHECK_LIMITS_ENVELOPE;
	ProtobufCMessage *response =
		decode_and_check(&ttrpc__response__descriptor, data, size, &envelope);

	protobuf_c_message_free_unpacked(response, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > FRAME_PAYLOAD_MAX)
		return 0;
	request_open(data, size);
	response_open(data, size);
	return 0;
}
