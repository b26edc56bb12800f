/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/decode.h"

#include <string.h>

#include "lib/error.h"
#include "tests/fuzz/target.h"

/* Counts like an arena: in units of 16 bytes, without freeing. */
static void *
counting_alloc(void *data, size_t size)
{
	*(size_t *)data += (size + 15) & ~(size_t)15;
	return malloc(size);
}

static void
counting_free(void *data, void *p)
{
	(void)data;
	free(p);
}

static uint8_t *
pack(const ProtobufCMessage *m, size_t *n)
{
	uint8_t *out;

	*n = protobuf_c_message_get_packed_size(m);
	out = malloc(*n + 1);
	MUST(out);
	MUST(protobuf_c_message_pack(m, out) == *n);
	return out;
}

ProtobufCMessage *
decode_and_check(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t size,
		 const struct pbcheck_limits *limits)
{
	const struct pbcheck_limits none = { .elements = SIZE_MAX, .bytes = SIZE_MAX };
	struct error err = ERROR_INIT;
	ProtobufCMessage *m, *again;
	size_t bound = 0, used = 0, n, n2;
	ProtobufCAllocator counting = { counting_alloc, counting_free, &used };
	uint8_t *first, *second;

	if (pbcheck(desc, data, size, limits, &bound, &err) < 0) {
		MUST(err.code == ERROR_INVALID_ARGUMENT || err.code == ERROR_RESOURCE_EXHAUSTED);
		MUST(err.msg[0]);
		return NULL;
	}
	m = protobuf_c_message_unpack(desc, &counting, size, data);
	MUST(m);
	MUST(used <= bound);
	MUST(bound <= limits->bytes);
	MUST(protobuf_c_message_check(m));
	first = pack(m, &n);
	MUST(pbcheck(desc, first, n, &none, NULL, &err) == 0);
	again = protobuf_c_message_unpack(desc, NULL, n, first);
	MUST(again);
	second = pack(again, &n2);
	MUST(n == n2 && memcmp(first, second, n) == 0);
	free(first);
	free(second);
	protobuf_c_message_free_unpacked(again, NULL);
	return m;
}
