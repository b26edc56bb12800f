/* SPDX-License-Identifier: Apache-2.0 */
/* The request message of a method, which the first byte selects. */
#include <stdlib.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "lib/arena.h"
#include "lib/pbcheck.h"
#include "tests/fuzz/decode.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/target.h"

#define N_METHODS 44

/* Without a copy of the last bytes the message is the same. */
static void
check_tail(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t size,
	   const ProtobufCMessage *want)
{
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	struct error err = ERROR_INIT;
	struct arena arena;
	ProtobufCAllocator allocator = { arena_pb_alloc, arena_pb_free, &arena };
	ProtobufCMessage *m;
	uint8_t *a, *b;
	size_t n;

	arena_init(&arena, SIZE_MAX);
	m = pbcheck_unpack_tail(desc, data, size, &limits, &allocator, &err);
	MUST((m != NULL) == (want != NULL));
	if (m) {
		n = protobuf_c_message_get_packed_size(want);
		MUST(protobuf_c_message_get_packed_size(m) == n);
		a = malloc(n + 1);
		b = malloc(n + 1);
		MUST(a && b);
		(void)protobuf_c_message_pack(want, a);
		(void)protobuf_c_message_pack(m, b);
		MUST(memcmp(a, b, n) == 0);
		free(a);
		free(b);
	}
	arena_release(&arena);
}

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
	check_tail(method->input, data + 1, size - 1, m);
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}
