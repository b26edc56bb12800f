/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes the size of a decoded message without decoding it. The amounts follow
 * protobuf_c_message_unpack() of protobuf-c 1.4.1: one struct per message, one array per repeated
 * field, one block per string, bytes or unknown field, and a list of all fields of a message (in
 * slabs of 32, 64, 128 … entries; the first 16 entries are on its stack).
 */
#include "lib/pbcheck.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "lib/parse.h"
#include "lib/pbfield.h"

/* struct ScannedMember of protobuf-c on a 64-bit machine. */
#define SCANNED_MEMBER_SIZE 32
#define SCANNED_ON_STACK    16
/* Limit of the protobuf encoding. */
#define FIELD_NUMBER_MAX ((1u << 29) - 1)

#define WIRE_GROUP_START 3
#define WIRE_GROUP_END   4

/* A message that is being checked. */
struct level {
	const ProtobufCMessageDescriptor *desc;
	const uint8_t *end;
	/* Fields on the wire, known and unknown. */
	size_t members;
	/* Entries in the last slab of protobuf-c's list of fields. */
	size_t slab;
	/* Entries in all slabs. */
	size_t room;
	size_t unknown;
	/* For each field: number of elements, or of occurrences. */
	uint32_t counts[PBCHECK_FIELDS_MAX];
};

/* A field on the wire: number, wire type and content. */
struct member {
	uint32_t number;
	unsigned wire;
	const uint8_t *data;
	size_t len;
	/* NULL if unknown. */
	const ProtobufCFieldDescriptor *field;
};

struct pass {
	const struct pbcheck_limits *limits;
	const uint8_t *at;
	size_t bytes;
	/* Number of levels in use. */
	unsigned depth;
	struct level levels[PBCHECK_DEPTH_MAX];
	struct error *err;
	/* The last field of the message, and where its tag begins. */
	struct member last;
	const uint8_t *last_tag;
};

/* A variable that the compiler does not zero in addition (-ftrivial-auto-var-init): pbcheck_run()
 * sets all of a pass except its levels, and level_push() zeroes each level that is used. All 64 of
 * them are 11 KiB. */
#define NOT_ZEROED __attribute__((uninitialized))

static int pbcheck_run(struct pass *p, const ProtobufCMessageDescriptor *desc, const uint8_t *data,
		       size_t len, const struct pbcheck_limits *limits, size_t *decoded,
		       struct error *err);
static int level_push(struct pass *p, const ProtobufCMessageDescriptor *desc, const uint8_t *end);
static int level_pop(struct pass *p);
static int member_check(struct pass *p);
static int member_read(struct pass *p, struct member *m);
static unsigned wire_of(ProtobufCType type);
static int field_count(struct pass *p, const struct member *m, bool packed);
static int packed_count(struct pass *p, const struct member *m, size_t *out);
static int string_check(struct pass *p, const struct member *m);

static int
pbcheck_malformed(struct pass *p, const struct member *m, const char *why)
{
	const char *message = p->levels[p->depth - 1].desc->name;

	if (m && m->field)
		return error_set(p->err, ERROR_INVALID_ARGUMENT, "%s.%s: %s", message,
				 m->field->name, why);
	if (m)
		return error_set(p->err, ERROR_INVALID_ARGUMENT, "%s: field number %u: %s", message,
				 m->number, why);
	return error_set(p->err, ERROR_INVALID_ARGUMENT, "%s: %s", message, why);
}

/* Accounts for one allocation. The wire is at most 4 GiB and a factor below 64, so 64 bits
 * suffice. */
static int
pbcheck_take(struct pass *p, const struct member *m, uint64_t size)
{
	const char *message = p->levels[p->depth - 1].desc->name;

	size = (size + 15) & ~UINT64_C(15);
	if (size <= p->limits->bytes - p->bytes) {
		p->bytes += (size_t)size;
		return 0;
	}
	return error_set(p->err, ERROR_RESOURCE_EXHAUSTED,
			 "%s%s%s: message would take more than %zu bytes of memory", message,
			 m && m->field ? "." : "", m && m->field ? m->field->name : "",
			 p->limits->bytes);
}

int
pbcheck(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len,
	const struct pbcheck_limits *limits, size_t *decoded, struct error *err)
{
	struct pass p NOT_ZEROED;

	return pbcheck_run(&p, desc, data, len, limits, decoded, err);
}

static int
pbcheck_run(struct pass *p, const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len,
	    const struct pbcheck_limits *limits, size_t *decoded, struct error *err)
{
	if (len > INT_MAX || len > limits->bytes)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s: message of %zu bytes",
				 desc->name, len);
	p->limits = limits;
	/* An empty message may be passed as NULL. */
	p->at = len ? data : (const uint8_t *)"";
	p->bytes = 0;
	p->depth = 0;
	p->err = err;
	p->last = (struct member){ 0 };
	p->last_tag = NULL;
	if (level_push(p, desc, p->at + len) < 0)
		return -1;
	while (p->depth > 0) {
		bool done = p->at == p->levels[p->depth - 1].end;

		if ((done ? level_pop(p) : member_check(p)) < 0)
			return -1;
	}
	if (decoded)
		*decoded = p->bytes;
	return 0;
}

/* Enters a message whose content ends at `end`. */
static int
level_push(struct pass *p, const ProtobufCMessageDescriptor *desc, const uint8_t *end)
{
	struct level *level;

	if (p->depth == PBCHECK_DEPTH_MAX)
		return pbcheck_malformed(p, NULL, "messages are nested too deeply");
	if (desc->n_fields > PBCHECK_FIELDS_MAX)
		return error_set(p->err, ERROR_INTERNAL, "%s: more than %d fields", desc->name,
				 PBCHECK_FIELDS_MAX);
	level = &p->levels[p->depth++];
	memset(level, 0, sizeof(*level));
	level->desc = desc;
	level->end = end;
	level->slab = level->room = SCANNED_ON_STACK;
	return pbcheck_take(p, NULL, desc->sizeof_message);
}

/* Leaves a message, and accounts for what depends on its totals. */
static int
level_pop(struct pass *p)
{
	struct level *level = &p->levels[p->depth - 1];

	if (pbcheck_take(p, NULL, (uint64_t)level->unknown * sizeof(ProtobufCMessageUnknownField)) <
	    0)
		return -1;
	for (unsigned i = 0; i < level->desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &level->desc->fields[i];

		if (field->label != PROTOBUF_C_LABEL_REPEATED)
			continue;
		if (pbcheck_take(p, NULL, (uint64_t)level->counts[i] * pbfield_size(field->type)) <
		    0)
			return -1;
	}
	p->depth--;
	return 0;
}

static int
member_check(struct pass *p)
{
	struct level *level = &p->levels[p->depth - 1];
	const uint8_t *tag = p->at;
	struct member m;
	bool packed;

	if (member_read(p, &m) < 0)
		return -1;
	if (p->depth == 1) {
		p->last = m;
		p->last_tag = tag;
	}
	if (++level->members > level->room) {
		level->slab *= 2;
		level->room += level->slab;
		if (pbcheck_take(p, &m, (uint64_t)level->slab * SCANNED_MEMBER_SIZE) < 0)
			return -1;
	}
	if (!m.field) {
		/* protobuf-c keeps it with its length prefix, of at most 5 bytes. */
		level->unknown++;
		return pbcheck_take(p, &m, (uint64_t)m.len + 5);
	}
	packed = m.field->label == PROTOBUF_C_LABEL_REPEATED &&
		 m.wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && m.wire != wire_of(m.field->type);
	if (!packed && m.wire != wire_of(m.field->type))
		return pbcheck_malformed(p, &m, "wrong wire type");
	if (field_count(p, &m, packed) < 0)
		return -1;

	switch (m.field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return string_check(p, &m);
	case PROTOBUF_C_TYPE_BYTES:
		return pbcheck_take(p, &m, m.len);
	case PROTOBUF_C_TYPE_MESSAGE:
		p->at = m.data;
		return level_push(p, m.field->descriptor, m.data + m.len);
	default:
		/* Numbers are part of the struct, or were counted with their array. */
		return 0;
	}
}

/* As varint_len(), for tags and lengths of at most 5 bytes and 32 bits. */
static size_t
varint32_read(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
	uint64_t value = 0;

	for (size_t i = 0; i < 5 && at + i < end; i++) {
		value |= (uint64_t)(at[i] & 0x7f) << (7 * i);
		if (at[i] & 0x80)
			continue;
		if (value > UINT32_MAX)
			return 0;
		*out = (uint32_t)value;
		return i + 1;
	}
	return 0;
}

static const ProtobufCFieldDescriptor *
field_find(const ProtobufCMessageDescriptor *desc, uint32_t number)
{
	for (unsigned i = 0; i < desc->n_fields && desc->fields[i].id <= number; i++)
		if (desc->fields[i].id == number)
			return &desc->fields[i];
	return NULL;
}

/* Returns the length of the varint at `at`, at most 10; 0 if it does not end within 10 bytes and
 * before `end`. */
static size_t
varint_len(const uint8_t *at, const uint8_t *end)
{
	for (size_t i = 0; i < 10 && at + i < end; i++)
		if (!(at[i] & 0x80))
			return i + 1;
	return 0;
}

/* Reads tag and content of the next field and advances p->at. */
static int
member_read(struct pass *p, struct member *m)
{
	const struct level *level = &p->levels[p->depth - 1];
	const uint8_t *end = level->end;
	uint32_t value;
	size_t n = varint32_read(p->at, end, &value);

	if (!n)
		return pbcheck_malformed(p, NULL, "bad or truncated tag");
	p->at += n;
	*m = (struct member){ .number = value >> 3, .wire = value & 7 };
	if (m->number == 0 || m->number > FIELD_NUMBER_MAX)
		return pbcheck_malformed(p, NULL, "field number 0");
	m->field = field_find(level->desc, m->number);

	switch (m->wire) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		m->len = varint_len(p->at, end);
		if (!m->len)
			return pbcheck_malformed(p, m, "varint does not end");
		break;
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		m->len = 8;
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		m->len = 4;
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		n = varint32_read(p->at, end, &value);
		if (!n || value > INT_MAX)
			return pbcheck_malformed(p, m, "bad length");
		p->at += n;
		m->len = value;
		break;
	case WIRE_GROUP_START:
	case WIRE_GROUP_END:
		return pbcheck_malformed(p, m, "groups are not supported");
	default:
		return pbcheck_malformed(p, m, "unknown wire type");
	}
	if (m->len > (size_t)(end - p->at))
		return pbcheck_malformed(p, m, "content goes past the end of the message");
	m->data = p->at;
	p->at += m->len;
	return 0;
}

static unsigned
wire_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return PROTOBUF_C_WIRE_TYPE_32BIT;
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return PROTOBUF_C_WIRE_TYPE_64BIT;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_BOOL:
	case PROTOBUF_C_TYPE_ENUM:
		return PROTOBUF_C_WIRE_TYPE_VARINT;
	}
	return UINT_MAX;
}

/* Counts an element of a field, and accounts for its size in the array. */
static int
field_count(struct pass *p, const struct member *m, bool packed)
{
	struct level *level = &p->levels[p->depth - 1];
	uint32_t *count = &level->counts[m->field - level->desc->fields];
	bool repeated = m->field->label == PROTOBUF_C_LABEL_REPEATED;
	size_t more = 1;

	if (packed && packed_count(p, m, &more) < 0)
		return -1;
	if (!repeated) {
		if (*count > 0 && m->field->type == PROTOBUF_C_TYPE_MESSAGE)
			return pbcheck_malformed(p, m, "sent twice");
		*count = 1;
		return 0;
	}
	if (more > p->limits->elements - *count)
		return error_set(p->err, ERROR_RESOURCE_EXHAUSTED, "%s.%s: more than %zu elements",
				 level->desc->name, m->field->name, p->limits->elements);
	*count += (uint32_t)more;
	return 0;
}

/* Returns the number of elements of a packed field. */
static int
packed_count(struct pass *p, const struct member *m, size_t *out)
{
	const uint8_t *end = m->data + m->len;
	unsigned wire = wire_of(m->field->type);
	size_t count = 0;

	if (wire != PROTOBUF_C_WIRE_TYPE_VARINT) {
		size_t size = wire == PROTOBUF_C_WIRE_TYPE_64BIT ? 8 : 4;

		if (m->len % size != 0)
			return pbcheck_malformed(p, m, "packed numbers are cut off");
		*out = m->len / size;
		return 0;
	}
	for (const uint8_t *at = m->data; at < end; count++) {
		size_t n = varint_len(at, end);

		if (!n)
			return pbcheck_malformed(p, m, "varint in packed field does not end");
		at += n;
	}
	/* protobuf-c reserves one boolean for each byte. */
	*out = m->field->type == PROTOBUF_C_TYPE_BOOL ? m->len : count;
	return 0;
}

/* Returns the length of the leading part that is ASCII without NUL, in steps of 8: most strings are
 * pure ASCII. */
static size_t
ascii_len(const uint8_t *s, size_t n)
{
	const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
	size_t at = 0;
	uint64_t word;

	for (; n - at >= sizeof(word); at += sizeof(word)) {
		memcpy(&word, s + at, sizeof(word));
		/* A high bit, or a zero byte, which is the only one here that borrows when 1 is
		 * subtracted. */
		if ((word | (word - ones)) & high)
			break;
	}
	return at;
}

static int
string_check(struct pass *p, const struct member *m)
{
	size_t plain = ascii_len(m->data, m->len);

	if (memchr(m->data + plain, '\0', m->len - plain))
		return pbcheck_malformed(p, m, "NUL in a string");
	if (!utf8_is_valid((const char *)m->data + plain, m->len - plain))
		return pbcheck_malformed(p, m, "string is not UTF-8");
	return pbcheck_take(p, m, (uint64_t)m->len + 1);
}

ProtobufCMessage *
pbcheck_unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len,
	       const struct pbcheck_limits *limits, ProtobufCAllocator *allocator,
	       struct error *err)
{
	ProtobufCMessage *message;

	if (pbcheck(desc, data, len, limits, NULL, err) < 0)
		return NULL;
	message = protobuf_c_message_unpack(desc, allocator, len, data);
	if (!message)
		error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s: out of memory while unpacking",
			  desc->name);
	return message;
}

/* Returns whether the field is a single one of bytes, without a flag for its presence. */
static bool
is_plain_bytes(const ProtobufCFieldDescriptor *field)
{
	return field && field->type == PROTOBUF_C_TYPE_BYTES &&
	       field->label == PROTOBUF_C_LABEL_NONE &&
	       !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF);
}

ProtobufCMessage *
pbcheck_unpack_tail(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len,
		    const struct pbcheck_limits *limits, ProtobufCAllocator *allocator,
		    struct error *err)
{
	ProtobufCMessage *message;
	ProtobufCBinaryData *tail;
	struct pass p NOT_ZEROED;
	bool has_tail;

	if (pbcheck_run(&p, desc, data, len, limits, NULL, err) < 0)
		return NULL;
	has_tail = p.last.len >= PBCHECK_TAIL_MIN && is_plain_bytes(p.last.field);
	/* The fields before the last one are a message, too. */
	if (has_tail)
		len = (size_t)(p.last_tag - data);
	message = protobuf_c_message_unpack(desc, allocator, len, data);
	if (!message) {
		error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s: out of memory while unpacking",
			  desc->name);
		return NULL;
	}
	if (has_tail) {
		tail = (ProtobufCBinaryData *)(void *)((char *)message + p.last.field->offset);
		*tail = (ProtobufCBinaryData){ .len = p.last.len,
					       .data = (uint8_t *)(uintptr_t)p.last.data };
	}
	return message;
}
