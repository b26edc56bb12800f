/* SPDX-License-Identifier: Apache-2.0 */
/* pbcheck(): rejected messages, and its memory bound compared with the real unpacking. */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "lib/pbcheck.h"
#include "tests/support/check.h"
#include "ttrpc.pb-c.h"

#define WIRE(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;

/* An allocator that never frees, as an arena does, and counts in units of 16 bytes. */
struct counter {
	size_t bytes;
	void *blocks[4096];
	size_t n;
};

static void *
counter_alloc(void *data, size_t size)
{
	struct counter *c = data;

	REQUIRE_LT(c->n, sizeof(c->blocks) / sizeof(c->blocks[0]));
	c->bytes += (size + 15) & ~(size_t)15;
	return c->blocks[c->n++] = malloc(size);
}

static void
counter_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

struct row {
	const char *name;
	const ProtobufCMessageDescriptor *desc;
	const uint8_t *data;
	size_t len;
	enum error_code code;
	/* Start of the error message. */
	const char *text;
};

#define REMOVE &grpc__remove_container_request__descriptor
#define CREATE &grpc__create_container_request__descriptor
#define PROBE  &grpc__mem_hotplug_by_probe_request__descriptor
#define ENTRY  &grpc__spec__descriptor

static const struct row rows[] = {
	{ "empty", REMOVE, WIRE(""), 0, NULL },
	{ "both fields", REMOVE,
	  WIRE("\x0a\x02"
	       "c1"
	       "\x10\x05"),
	  0, NULL },
	{ "last scalar wins", REMOVE, WIRE("\x10\x05\x10\x06"), 0, NULL },
	{ "last string wins", REMOVE,
	  WIRE("\x0a\x01"
	       "a"
	       "\x0a\x01"
	       "b"),
	  0, NULL },
	{ "unknown varint", REMOVE, WIRE("\x78\x01"), 0, NULL },
	{ "unknown 64 bit", REMOVE,
	  WIRE("\x79"
	       "12345678"),
	  0, NULL },
	{ "unknown 32 bit", REMOVE,
	  WIRE("\x7d"
	       "1234"),
	  0, NULL },
	{ "unknown bytes with NUL", REMOVE, WIRE("\x7a\x02\0\xff"), 0, NULL },
	{ "highest field number", REMOVE, WIRE("\xf8\xff\xff\xff\x0f\x01"), 0, NULL },
	{ "overlong tag", REMOVE,
	  WIRE("\x8a\x00\x01"
	       "c"),
	  0, NULL },
	{ "ten-byte varint", REMOVE, WIRE("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 0,
	  NULL },
	{ "packed", PROBE, WIRE("\x0a\x03\x01\x80\x01"), 0, NULL },
	{ "packed, empty", PROBE, WIRE("\x0a\x00"), 0, NULL },
	{ "not packed", PROBE, WIRE("\x08\x01\x08\x02"), 0, NULL },
	{ "packed and not", PROBE, WIRE("\x08\x01\x0a\x02\x01\x02\x08\x03"), 0, NULL },
	{ "UTF-8", REMOVE, WIRE("\x0a\x02\xc3\xa4"), 0, NULL },

	{ "cut tag", REMOVE, WIRE("\x80"), 3, "grpc.RemoveContainerRequest: bad or truncated tag" },
	{ "tag over 32 bits", REMOVE, WIRE("\xf8\xff\xff\xff\x1f\x01"), 3,
	  "grpc.RemoveContainerRequest: bad or truncated tag" },
	{ "six-byte tag", REMOVE, WIRE("\x88\x80\x80\x80\x80\x00\x01"), 3,
	  "grpc.RemoveContainerRequest: bad or truncated tag" },
	{ "field 0", REMOVE, WIRE("\x00\x01"), 3, "grpc.RemoveContainerRequest: field number 0" },
	{ "field 0, long", REMOVE, WIRE("\x80\x00\x01"), 3,
	  "grpc.RemoveContainerRequest: field number 0" },
	{ "tag alone", REMOVE, WIRE("\x10"), 3, "grpc.RemoveContainerRequest.timeout: varint" },
	{ "varint cut", REMOVE, WIRE("\x10\x80"), 3,
	  "grpc.RemoveContainerRequest.timeout: varint" },
	{ "eleven-byte varint", REMOVE, WIRE("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 3,
	  "grpc.RemoveContainerRequest.timeout: varint does not end" },
	{ "string as varint", REMOVE, WIRE("\x08\x01"), 3,
	  "grpc.RemoveContainerRequest.container_id: wrong wire type" },
	{ "varint as 32 bit", REMOVE,
	  WIRE("\x15"
	       "1234"),
	  3, "grpc.RemoveContainerRequest.timeout: wrong wire type" },
	{ "singular packed", REMOVE, WIRE("\x12\x01\x05"), 3,
	  "grpc.RemoveContainerRequest.timeout: wrong wire type" },
	{ "start group", REMOVE, WIRE("\x7b"), 3,
	  "grpc.RemoveContainerRequest: field number 15: groups" },
	{ "end group", REMOVE, WIRE("\x7c"), 3,
	  "grpc.RemoveContainerRequest: field number 15: groups" },
	{ "wire type 6", REMOVE, WIRE("\x7e\x00"), 3,
	  "grpc.RemoveContainerRequest: field number 15: unknown wire type" },
	{ "wire type 7", REMOVE, WIRE("\x0f\x00"), 3,
	  "grpc.RemoveContainerRequest.container_id: unknown wire type" },
	{ "length past end", REMOVE,
	  WIRE("\x0a\x03"
	       "c1"),
	  3, "grpc.RemoveContainerRequest.container_id: content goes past" },
	{ "length over INT_MAX", REMOVE,
	  WIRE("\x0a\xff\xff\xff\xff\x0f"
	       "c1"),
	  3, "grpc.RemoveContainerRequest.container_id: bad length" },
	{ "length cut", REMOVE, WIRE("\x0a\x80"), 3,
	  "grpc.RemoveContainerRequest.container_id: bad length" },
	{ "64 bit cut", REMOVE,
	  WIRE("\x79"
	       "1234567"),
	  3, "grpc.RemoveContainerRequest: field number 15: content goes past" },
	{ "packed varint cut", PROBE, WIRE("\x0a\x02\x01\x80"), 3,
	  "grpc.MemHotplugByProbeRequest.memHotplugProbeAddr: varint in packed" },
	{ "inner past outer", CREATE,
	  WIRE("\x32\x04\x0a\x05"
	       "abcde"),
	  3, "grpc.Spec.Version: content goes past" },
	{ "NUL", REMOVE,
	  WIRE("\x0a\x03"
	       "a\0b"),
	  3, "grpc.RemoveContainerRequest.container_id: NUL in a string" },
	{ "NUL at the end", REMOVE,
	  WIRE("\x0a\x02"
	       "a\0"),
	  3, "grpc.RemoveContainerRequest.container_id: NUL in a string" },
	{ "NUL, later overwritten", REMOVE,
	  WIRE("\x0a\x01\0\x0a\x01"
	       "a"),
	  3, "grpc.RemoveContainerRequest.container_id: NUL in a string" },
	{ "stray continuation", REMOVE, WIRE("\x0a\x01\x80"), 3,
	  "grpc.RemoveContainerRequest.container_id: string is not UTF-8" },
	{ "overlong slash", REMOVE, WIRE("\x0a\x02\xc0\xaf"), 3,
	  "grpc.RemoveContainerRequest.container_id: string is not UTF-8" },
	{ "surrogate", REMOVE, WIRE("\x0a\x03\xed\xa0\x80"), 3,
	  "grpc.RemoveContainerRequest.container_id: string is not UTF-8" },
	{ "NUL in an argument", CREATE,
	  WIRE("\x32\x06\x12\x04\x22\x02"
	       "a\0"),
	  3, "grpc.Process.Args: NUL in a string" },
	{ "NUL in a map key", ENTRY, WIRE("\x3a\x03\x0a\x01\0"), 3,
	  "grpc.Spec.AnnotationsEntry.key: NUL in a string" },
	{ "spec twice", CREATE, WIRE("\x32\x00\x32\x00"), 3,
	  "grpc.CreateContainerRequest.OCI: sent twice" },
};

Test(pbcheck, rows)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct error err = ERROR_INIT;
		struct counter c = { 0 };
		ProtobufCAllocator allocator = { counter_alloc, counter_free, &c };
		size_t bound = 0;
		int rc = pbcheck(r->desc, r->data, r->len, &limits, &bound, &err);
		ProtobufCMessage *m;

		CHECK_EQ(rc, r->code ? -1 : 0, "%s: %s", r->name, err.msg);
		if (rc < 0) {
			CHECK_EQ(err.code, r->code, "%s: code %d", r->name, err.code);
			CHECK(strncmp(err.msg, r->text, strlen(r->text)) == 0, "%s: %s", r->name,
			      err.msg);
			continue;
		}
		m = protobuf_c_message_unpack(r->desc, &allocator, r->len, r->data);
		CHECK_NE(m, NULL, "%s: accepted, but does not unpack", r->name);
		CHECK_LE(c.bytes, bound, "%s: takes %zu of %zu", r->name, c.bytes, bound);
		while (c.n > 0)
			free(c.blocks[--c.n]);
	}
}

/* For known fields the bound is exactly what unpacking needs. */
Test(pbcheck, bound_is_tight)
{
	char *args[300];
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	struct counter *c = calloc(1, sizeof(*c));
	ProtobufCAllocator allocator = { counter_alloc, counter_free, c };
	struct error err = ERROR_INIT;
	static uint8_t wire[65536];
	size_t n, bound;

	for (size_t i = 0; i < 300; i++)
		args[i] = (char *)"argument";
	process.args = args;
	process.n_args = 300;
	spec.process = &process;
	request.oci = &spec;
	n = grpc__create_container_request__pack(&request, wire);
	REQUIRE_OK(pbcheck(CREATE, wire, n, &limits, &bound, &err), &err);
	REQUIRE(protobuf_c_message_unpack(CREATE, &allocator, n, wire));
	REQUIRE_EQ(c->bytes, bound, "takes %zu, bound %zu", c->bytes, bound);
	while (c->n > 0)
		free(c->blocks[--c->n]);
	free(c);
}

/* 4 MiB of empty storages would need more than 200 MiB. */
Test(pbcheck, bomb)
{
	size_t n = 4u << 20, bound = 0;
	uint8_t *wire = malloc(n);
	struct error err = ERROR_INIT;
	struct pbcheck_limits all = { .elements = SIZE_MAX, .bytes = SIZE_MAX };

	for (size_t i = 0; i < n; i += 2) {
		/* Empty storages. */
		wire[i] = 5 << 3 | 2;
		wire[i + 1] = 0;
	}
	CHECK_EQ(pbcheck(CREATE, wire, n, &limits, &bound, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	CHECK_EQ(bound, 0, "out-parameter touched on failure");
	CHECK_OK(pbcheck(CREATE, wire, n, &all, &bound, &err), &err);
	CHECK_GT(bound, 200u << 20);
	free(wire);
}

Test(pbcheck, element_cap)
{
	static uint8_t wire[2 * 1025];
	struct pbcheck_limits few = PBCHECK_LIMITS_ENVELOPE;
	struct error err = ERROR_INIT;
	size_t bound;

	/* Metadata. */
	for (size_t i = 0; i < sizeof(wire); i += 2)
		wire[i] = 5 << 3 | 2;
	CHECK_OK(pbcheck(&ttrpc__request__descriptor, wire, 2 * 1024, &few, &bound, &err), &err);
	CHECK_EQ(pbcheck(&ttrpc__request__descriptor, wire, 2 * 1025, &few, &bound, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	CHECK_STR(err.msg, "ttrpc.Request.metadata: more than 1024 elements");
	/* Packed elements are counted, too. */
	few.elements = 3;
	CHECK_OK(pbcheck(PROBE, WIRE("\x0a\x03\x01\x02\x03"), &few, &bound, &err), &err);
	CHECK_EQ(pbcheck(PROBE, WIRE("\x0a\x04\x01\x02\x03\x04"), &few, &bound, &err), -1);
	CHECK_EQ(pbcheck(PROBE, WIRE("\x0a\x03\x01\x02\x03\x08\x01"), &few, &bound, &err), -1);
}

/* Depth is tested with a descriptor that contains itself, since no message of ours does. */
static ProtobufCMessageDescriptor nest_descriptor;
static const ProtobufCFieldDescriptor nest_fields[] = {
	{ .name = "inner",
	  .id = 1,
	  .label = PROTOBUF_C_LABEL_NONE,
	  .type = PROTOBUF_C_TYPE_MESSAGE,
	  .descriptor = &nest_descriptor },
};

Test(pbcheck, depth)
{
	uint8_t wire[2 * PBCHECK_DEPTH_MAX];
	struct error err = ERROR_INIT;

	nest_descriptor = (ProtobufCMessageDescriptor){
		.name = "Nest", .sizeof_message = 32, .n_fields = 1, .fields = nest_fields
	};
	for (size_t i = 0; i < PBCHECK_DEPTH_MAX; i++) {
		wire[2 * i] = 1 << 3 | 2;
		wire[2 * i + 1] = (uint8_t)(sizeof(wire) - 2 * (i + 1));
	}
	CHECK_EQ(pbcheck(&nest_descriptor, wire, sizeof(wire), &limits, NULL, &err), -1);
	CHECK_STR(err.msg, "Nest: messages are nested too deeply");
	CHECK_OK(pbcheck(&nest_descriptor, wire + 2, sizeof(wire) - 2, &limits, NULL, &err), &err);
}

/* NUL and invalid bytes at every position of a string: the check handles eight at a time. */
Test(pbcheck, strings_at_every_offset)
{
	for (uint8_t n = 1; n < 40; n++) {
		for (uint8_t i = 0; i < n; i++) {
			uint8_t wire[64] = { 0x0a, n };
			struct error err = ERROR_INIT;

			memset(wire + 2, 'x', n);
			REQUIRE_OK(pbcheck(REMOVE, wire, 2u + n, &limits, NULL, &err), &err);
			wire[2 + i] = 0x7f;
			REQUIRE_OK(pbcheck(REMOVE, wire, 2u + n, &limits, NULL, &err), &err);
			wire[2 + i] = 0x01;
			REQUIRE_OK(pbcheck(REMOVE, wire, 2u + n, &limits, NULL, &err), &err);
			wire[2 + i] = 0;
			REQUIRE_EQ(pbcheck(REMOVE, wire, 2u + n, &limits, NULL, &err), -1);
			REQUIRE_HAS(err.msg, "NUL in a string");
			wire[2 + i] = 0x80;
			REQUIRE_EQ(pbcheck(REMOVE, wire, 2u + n, &limits, NULL, &err), -1);
			REQUIRE_HAS(err.msg, "not UTF-8");
		}
	}
}

Test(pbcheck, memory_for_the_message)
{
	static uint8_t wire[1 << 16];
	struct pbcheck_limits small = { .elements = 100, .bytes = 4096 };
	struct error err = ERROR_INIT;

	memset(wire, 'x', sizeof(wire));
	wire[0] = 0x0a;
	wire[1] = 0xfd;
	/* 3965 bytes, NUL and the struct. */
	wire[2] = 0x1e;
	CHECK_OK(pbcheck(REMOVE, wire, 3 + 3965, &small, NULL, &err), &err);
	CHECK_EQ(pbcheck(REMOVE, wire, sizeof(wire), &small, NULL, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	small.bytes = 2000;
	CHECK_EQ(pbcheck(REMOVE, wire, 3 + 3965, &small, NULL, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED, "%s", err.msg);
}

#define WRITE &grpc__write_stream_request__descriptor

/* Writes a field of bytes with a length of two or more bytes. */
static size_t
put_bytes_field(uint8_t *at, uint8_t number, size_t n)
{
	at[0] = (uint8_t)(number << 3 | 2);
	at[1] = (uint8_t)(n | 0x80);
	at[2] = (uint8_t)(n >> 7 & 0x7f);
	memset(at + 3, 'a' + number, n);
	return 3 + n;
}

/* Only long bytes at the end of the outermost message are not copied; the last value counts. */
Test(pbcheck, tail)
{
	static const struct {
		const char *name;
		/* Fields and their lengths, until field 0. */
		struct {
			uint8_t number;
			size_t n;
		} fields[4];
		size_t data, id;
		bool is_borrowed;
	} cases[] = {
		{ "last", { { 1, 200 }, { 3, 5000 } }, 5000, 200, true },
		{ "alone", { { 3, PBCHECK_TAIL_MIN } }, PBCHECK_TAIL_MIN, 0, true },
		{ "short",
		  { { 1, 200 }, { 3, PBCHECK_TAIL_MIN - 1 } },
		  PBCHECK_TAIL_MIN - 1,
		  200,
		  false },
		{ "first", { { 3, 5000 }, { 1, 200 } }, 5000, 200, false },
		{ "a string", { { 3, 5000 }, { 1, 5000 } }, 5000, 5000, false },
		{ "twice", { { 3, 6000 }, { 1, 200 }, { 3, 5000 } }, 5000, 200, true },
		{ "twice, the last is short",
		  { { 3, 6000 }, { 1, 200 }, { 3, 100 } },
		  100,
		  200,
		  false },
		{ "unknown", { { 3, 5000 }, { 9, 5000 } }, 5000, 0, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct counter c = { 0 };
		ProtobufCAllocator allocator = { counter_alloc, counter_free, &c };
		struct error err = ERROR_INIT;
		Grpc__WriteStreamRequest *m;
		uint8_t wire[16384];
		size_t n = 0;

		for (size_t j = 0; j < 4 && cases[i].fields[j].number; j++)
			n += put_bytes_field(wire + n, cases[i].fields[j].number,
					     cases[i].fields[j].n);
		m = (Grpc__WriteStreamRequest *)pbcheck_unpack_tail(WRITE, wire, n, &limits,
								    &allocator, &err);
		REQUIRE(m, "%s: %s", cases[i].name, err.msg);
		CHECK_EQ(m->data.len, cases[i].data, "%s", cases[i].name);
		CHECK_EQ(m->data.data[0], 'd', "%s", cases[i].name);
		CHECK_EQ(strlen(m->container_id), cases[i].id, "%s", cases[i].name);
		CHECK_EQ(m->data.data >= wire && m->data.data < wire + n, cases[i].is_borrowed,
			 "%s", cases[i].name);
		if (cases[i].is_borrowed)
			CHECK_EQ(m->data.data + m->data.len, wire + n, "%s", cases[i].name);
		for (size_t j = 0; j < c.n; j++)
			free(c.blocks[j]);
		/* An invalid message is refused here, too. */
		CHECK(!pbcheck_unpack_tail(WRITE, wire, n - 1, &limits, &allocator, &err), "%s",
		      cases[i].name);
	}
}
