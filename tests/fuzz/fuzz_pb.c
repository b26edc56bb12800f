/* SPDX-License-Identifier: Apache-2.0 */
/* The request message of a method, which the first byte selects. */
#include <protobuf-c/protobuf-c.h>

#include "lib/pbcheck.h"
#include "tests/fuzz/decode.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/target.h"

#define N_METHODS 44

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	const ProtobufCMethodDescriptor *method;
	ProtobufCMessage *m;
	const char *service;

	if (size == 0)
		return 0;
	method = mutate_method(data[0] % N_METHODS, &service);
	MUST(method);
	m = decode_and_check(method->input, data + 1, size - 1, &limits);
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}
