/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the wire format directly, field by field in the order of the descriptor, so that each rule
 * of the grammar can be stretched or broken where it applies. */
#include "tests/fuzz/mutate.h"

#include <string.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/ttrpc/frame.h"
#include "tests/fuzz/words.h"
#include "ttrpc.pb-c.h"

#define DEPTH_MAX 12
#define SELDOM    20

/* The message being written. */
struct wire {
	struct mutator *m;
	uint8_t *out;
	size_t len, cap;
	bool full;
	bool mutated;
	/* to be broken once */
	bool broken;
};

static uint64_t
rnd(struct mutator *m)
{
	/* xorshift64*, Vigna 2016 */
	m->seed ^= m->seed >> 12;
	m->seed ^= m->seed << 25;
	m->seed ^= m->seed >> 27;
	return m->seed * UINT64_C(2685821657736338717);
}

/* 0 … n-1 */
static unsigned
below(struct mutator *m, unsigned n)
{
	return (unsigned)((rnd(m) >> 32) % n);
}

static bool
percent(struct mutator *m, unsigned p)
{
	return below(m, 100) < p;
}

static void
put_bytes(struct wire *w, const void *data, size_t n)
{
	if (w->full || n > w->cap - w->len) {
		w->full = true;
		return;
	}
	memcpy(w->out + w->len, data, n);
	w->len += n;
}

static void
put_byte(struct wire *w, unsigned b)
{
	uint8_t byte = (uint8_t)b;

	put_bytes(w, &byte, 1);
}

static void
put_varint(struct wire *w, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		put_byte(w, (unsigned)(v & 0x7f) | 0x80);
	put_byte(w, (unsigned)v);
}

static void
put_tag(struct wire *w, uint32_t number, unsigned type)
{
	put_varint(w, (uint64_t)number << 3 | type);
}

/* Returns a number as hosts send it; when mutated, also a boundary value. */
static uint64_t
number(struct wire *w, ProtobufCType type)
{
	if (type == PROTOBUF_C_TYPE_BOOL)
		return below(w->m, 2);
	if (!w->mutated || percent(w->m, 60))
		return below(w->m, percent(w->m, 50) ? 4 : 4096);
	return numbers[below(w->m, N_NUMBERS)];
}

static void
put_string(struct wire *w, const ProtobufCFieldDescriptor *f)
{
	const char *s = word_for(f->name, rnd(w->m));
	bool tame = w->m->only_safe_paths && word_is_path(f->name);
	size_t n = 0;

	if (strcmp(f->name, "container_id") == 0) {
		while (w->m->container_ids[n])
			n++;
		s = n ? w->m->container_ids[below(w->m, (unsigned)n)] : "none";
	}
	if (w->mutated && !tame && percent(w->m, 8))
		s = nasty[below(w->m, N_NASTY)];
	if (w->mutated && !tame && percent(w->m, 1)) {
		/* a long string of any length */
		n = 1u << below(w->m, 15);
		put_varint(w, n);
		while (n-- > 0)
			put_byte(w, 'a' + below(w->m, 26));
		return;
	}
	put_varint(w, strlen(s));
	put_bytes(w, s, strlen(s));
}

static void
put_blob(struct wire *w)
{
	size_t n = below(w->m, percent(w->m, 95) ? 64 : 40000);

	put_varint(w, n);
	while (n-- > 0)
		put_byte(w, (unsigned)rnd(w->m));
}

static void put_message(struct wire *w, const ProtobufCMessageDescriptor *desc, int depth);

/* Writes a message preceded by its length; when mutated, the length may have redundant bytes. */
static void
put_nested(struct wire *w, const ProtobufCMessageDescriptor *desc, int depth)
{
	size_t start = w->len, n, prefix;
	uint8_t head[5];

	put_bytes(w, "\0\0\0\0\0", 5);
	put_message(w, desc, depth + 1);
	if (w->full)
		return;
	n = w->len - start - 5;
	if (w->mutated && percent(w->m, 5)) {
		for (prefix = 0; prefix < 5; prefix++)
			w->out[start + prefix] =
				(uint8_t)((n >> 7 * prefix & 0x7f) | (prefix < 4 ? 0x80 : 0));
		return;
	}
	prefix = 0;
	for (size_t v = n; v > 0x7f; v >>= 7)
		head[prefix++] = (uint8_t)(v | 0x80);
	head[prefix] = (uint8_t)(n >> 7 * prefix);
	prefix++;
	memcpy(w->out + start, head, prefix);
	memmove(w->out + start + prefix, w->out + start + 5, n);
	w->len = start + prefix + n;
}

/* Writes the value after its tag. */
static void
put_value(struct wire *w, const ProtobufCFieldDescriptor *f, int depth)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		put_tag(w, f->id, 2);
		put_string(w, f);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		put_tag(w, f->id, 2);
		put_blob(w);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		put_tag(w, f->id, 2);
		put_nested(w, f->descriptor, depth);
		break;
	default:
		/* All other types of the protocol are varints. */
		put_tag(w, f->id, 0);
		put_varint(w, number(w, f->type));
		break;
	}
}

static void
put_packed(struct wire *w, const ProtobufCFieldDescriptor *f, unsigned n)
{
	put_tag(w, f->id, 2);
	put_byte(w, n);
	for (unsigned i = 0; i < n; i++)
		put_byte(w, below(w->m, 128));
}

/* Writes an unknown field, as a newer host might send it. */
static void
put_unknown(struct wire *w)
{
	uint32_t id = 100 + below(w->m, 1u << 20);

	switch (below(w->m, 4)) {
	case 0:
		put_tag(w, id, 0);
		put_varint(w, rnd(w->m));
		break;
	case 1:
		put_tag(w, id, 1);
		put_bytes(w, "12345678", 8);
		break;
	case 2:
		put_tag(w, id, 2);
		put_blob(w);
		break;
	default:
		put_tag(w, id, 5);
		put_bytes(w, "1234", 4);
		break;
	}
}

/* Breaks the message at this place in one of the ways that a decoder must notice. */
static void
put_broken(struct wire *w, const ProtobufCFieldDescriptor *f)
{
	bool string = f->type == PROTOBUF_C_TYPE_STRING;

	switch (below(w->m, 10)) {
	case 0:
		/* field 0 */
		put_bytes(w, "\x00\x01", 2);
		break;
	case 1:
		/* groups, nested */
		for (unsigned n = 1u << below(w->m, 12); n > 0; n--)
			put_byte(w, 0x0b);
		break;
	case 2:
		/* wire types that do not exist */
		put_tag(w, f->id, 6 + below(w->m, 2));
		break;
	case 3:
		/* wire type of something else */
		put_tag(w, f->id, 5);
		put_bytes(w, "1234", 4);
		break;
	case 4:
		/* length past the end */
		put_tag(w, f->id, 2);
		put_varint(w, 1u << below(w->m, 31));
		break;
	case 5:
		/* varint of 11 bytes */
		put_tag(w, f->id, 0);
		put_bytes(w, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
		break;
	case 6:
		/* tag of 6 bytes */
		put_bytes(w, "\x88\x80\x80\x80\x80\x01\x01", 7);
		break;
	case 7:
		/* NUL in a string */
		put_tag(w, f->id, 2);
		put_bytes(w,
			  string ? "\x04"
				   "a\0b/"
				 : "\x04\x80\x80\x80\x80",
			  5);
		break;
	case 8:
		/* not UTF-8 */
		put_tag(w, f->id, 2);
		put_bytes(w, "\x02\xc0\xaf", 3);
		break;
	default:
		/* anything */
		for (unsigned n = 1 + below(w->m, 40); n > 0; n--)
			put_byte(w, (unsigned)rnd(w->m));
		break;
	}
	w->broken = false;
}

static void
put_field(struct wire *w, const ProtobufCFieldDescriptor *f, int depth)
{
	unsigned n = 1;

	if (w->broken && percent(w->m, 15)) {
		put_broken(w, f);
		return;
	}
	if (w->mutated && percent(w->m, 2))
		put_unknown(w);
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		n = below(w->m, 4);
		if (w->mutated && percent(w->m, 2))
			n = 1 + below(w->m, depth > 2 ? 30 : 300);
		if (f->type < PROTOBUF_C_TYPE_STRING && n > 0 && n < 128 && percent(w->m, 70)) {
			put_packed(w, f, n);
			return;
		}
	} else if (w->mutated && percent(w->m, 3) && f->type != PROTOBUF_C_TYPE_MESSAGE) {
		/* The last value wins. */
		n = 2;
	}
	for (unsigned i = 0; i < n; i++)
		put_value(w, f, depth);
}

static void
put_message(struct wire *w, const ProtobufCMessageDescriptor *desc, int depth)
{
	bool backwards = w->mutated && percent(w->m, 10);

	if (depth > DEPTH_MAX)
		return;
	for (unsigned i = 0; i < desc->n_fields && !w->full; i++) {
		const ProtobufCFieldDescriptor *f =
			&desc->fields[backwards ? desc->n_fields - 1 - i : i];
		bool always = strcmp(f->name, "container_id") == 0 ||
			      (depth == 0 && f->type == PROTOBUF_C_TYPE_MESSAGE);

		/* Deeper messages have fewer fields; the container id is almost always set. */
		if (percent(w->m, always ? 95 : depth > 3 ? 30 : 60))
			put_field(w, f, depth);
	}
}

size_t
mutate_message(struct mutator *m, const ProtobufCMessageDescriptor *desc, bool mutated, bool broken,
	       uint8_t *out, size_t cap)
{
	struct wire w = { .m = m, .out = out, .cap = cap, .mutated = mutated, .broken = broken };

	put_message(&w, desc, 0);
	/* No field was broken. */
	if (w.broken && !w.full)
		put_broken(&w, desc->n_fields ? desc->fields : ttrpc__request__descriptor.fields);
	return w.full ? 0 : w.len;
}

static const ProtobufCServiceDescriptor *const services[] = {
	&grpc__agent_service__descriptor,
	&grpc__health__descriptor,
};

const ProtobufCMethodDescriptor *
mutate_method(unsigned i, const char **service)
{
	for (size_t s = 0; s < ARRAY_LEN(services); s++) {
		if (i < services[s]->n_methods) {
			*service = services[s]->name;
			return &services[s]->methods[i];
		}
		i -= services[s]->n_methods;
	}
	return NULL;
}

static bool
is_in(const char *const *names, const char *name)
{
	for (size_t i = 0; names && names[i]; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static const ProtobufCMethodDescriptor *
method_choose(struct mutator *m)
{
	unsigned n = services[0]->n_methods + services[1]->n_methods;

	for (;;) {
		const ProtobufCMethodDescriptor *method = mutate_method(below(m, n), &m->service);

		if (is_in(m->skip, method->name) ||
		    (is_in(m->seldom, method->name) && below(m, SELDOM) != 0))
			continue;
		return method;
	}
}

/* Writes field `id` with these bytes. */
static void
put_chunk(struct wire *w, uint32_t id, const void *data, size_t n)
{
	put_tag(w, id, 2);
	put_varint(w, n);
	put_bytes(w, data, n);
}

/* Writes an invalid envelope around a valid payload. */
static void
put_broken_envelope(struct wire *w, const char *service, const char *method, const void *payload,
		    size_t n)
{
	unsigned how = below(w->m, 6);

	if (how == 0)
		service = nasty[below(w->m, N_NASTY)];
	if (how == 1)
		method = nasty[below(w->m, N_NASTY)];
	if (how != 2)
		put_chunk(w, 1, service, strlen(service) + (how == 3));
	put_chunk(w, 2, method, strlen(method));
	put_chunk(w, 3, payload, how == 4 ? n / 2 : n);
	if (how == 4)
		put_broken(w, &ttrpc__request__descriptor.fields[4]);
	for (unsigned i = 0; how == 5 && i < 2000; i++)
		put_chunk(w, 5, "", 0);
}

static void
put_envelope(struct wire *w, const char *service, const char *method, const void *payload, size_t n)
{
	static const uint64_t timeouts[] = { 1, 1000000, 30000000000, INT64_MAX, UINT64_MAX };

	put_chunk(w, 1, service, strlen(service));
	put_chunk(w, 2, method, strlen(method));
	if (n > 0)
		put_chunk(w, 3, payload, n);
	if (percent(w->m, 20)) {
		put_tag(w, 4, 0);
		put_varint(w, timeouts[below(w->m, ARRAY_LEN(timeouts))]);
	}
	if (percent(w->m, 5))
		put_chunk(w, 5, "\x0a\x01k\x12\x01v", 6);
}

const char *const mutate_skip_machine[] = {
	"DestroySandbox",
	"SetGuestDateTime",
	"AddSwap",
	"AddSwapPath",
	"OnlineCPUMem",
	"ReseedRandomDev",
	"MemHotplugByProbe",
	"SetPolicy",
	"MemAgentMemcgSet",
	"MemAgentCompactSet",
	/* Its mounts last as long as the sandbox. */
	"UpdateEphemeralMounts",
	NULL,
};

const char *const mutate_seldom_worker[] = {
	"AddARPNeighbors", "CopyFile",    "GetDiagnosticData",
	"GetIPTables",     "GetMetrics",  "GetVolumeStats",
	"ListInterfaces",  "ListRoutes",  "RemoveStaleVirtiofsShareMounts",
	"ResizeVolume",    "SetIPTables", "UpdateInterface",
	"UpdateRoutes",    NULL,
};

void
mutate_init(struct mutator *m, uint64_t seed, const char *const *container_ids)
{
	*m = (struct mutator){
		.seed = seed ? seed : 1,
		.container_ids = container_ids,
		.next_stream = 1,
		.only_safe_paths = true,
		.broken_percent = 35,
	};
}

size_t
mutate_next(struct mutator *m, uint8_t *out, size_t cap)
{
	const ProtobufCMethodDescriptor *method = method_choose(m);
	bool broken = percent(m, m->broken_percent);
	bool envelope = broken && percent(m, 25);
	struct frame_header header = { .type = FRAME_REQUEST, .stream = m->next_stream };
	struct wire w = { .m = m, .out = out, .len = FRAME_HEADER_SIZE, .cap = cap };
	/* The payload is written at the end of `out` and moved into its envelope. */
	size_t room = cap / 2 - 64, n;
	uint8_t *payload = out + cap - room;

	n = mutate_message(m, method->input, percent(m, 70), broken && !envelope, payload, room);
	w.cap = cap - room;
	m->method = method->name;
	m->stream = header.stream;
	m->broken = broken;
	m->next_stream += 2;
	if (envelope)
		put_broken_envelope(&w, m->service, m->method, payload, n);
	else
		put_envelope(&w, m->service, m->method, payload, n);
	if (broken && percent(m, 3))
		header.stream &= ~1u;
	if (broken && percent(m, 3))
		header.type = (uint8_t)rnd(m);
	if (percent(m, 5))
		header.flags = (uint8_t)rnd(m);
	header.length = (uint32_t)(w.len - FRAME_HEADER_SIZE);
	frame_header_encode(&header, out);
	return w.len;
}
