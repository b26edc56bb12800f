/* SPDX-License-Identifier: Apache-2.0 */
/* See pbmutate.h. Messages are changed as structures, because bytes that do not decode would not
 * reach the code under test. */
#include "tests/fuzz/pbmutate.h"

#include <string.h>

#include "tests/fuzz/mutate.h"
#include "tests/fuzz/target.h"
#include "tests/fuzz/words.h"

#define CHANGES_MAX 5
/* most entries of a growing repeated field */
#define ENTRIES_MAX 64
#define STRING_MAX  300
/* size in bytes of a new message */
#define FRESH_MAX 2048

static const char *const no_ids[] = { "c1", NULL };

static uint64_t
rnd(struct mutator *m)
{
	/* xorshift64*, as in mutate.c */
	m->seed ^= m->seed >> 12;
	m->seed ^= m->seed << 25;
	m->seed ^= m->seed >> 27;
	return (m->seed * UINT64_C(2685821657736338717)) >> 16;
}

/* Strings on the wire are UTF-8 without NUL. */
static char *
mutate_string(struct mutator *m, const char *field, const char *now)
{
	char text[STRING_MAX + 1] = "";
	uint64_t how = rnd(m) % 8;
	size_t n;

	if (how < 4) {
		(void)snprintf(text, sizeof(text), "%s", word_for(field, rnd(m) << 16));
	} else if (how == 4) {
		(void)snprintf(text, sizeof(text), "%s", nasty[rnd(m) % N_NASTY]);
	} else {
		(void)snprintf(text, sizeof(text), "%s", now ? now : "");
		n = LLVMFuzzerMutate((uint8_t *)text, strlen(text), STRING_MAX);
		text[n] = '\0';
		for (size_t i = 0; i < n; i++)
			text[i] = (unsigned char)text[i] - 1u < 0x7f ? text[i] : '_';
	}
	return strdup(text);
}

static uint64_t
mutate_number(struct mutator *m, uint64_t now)
{
	switch (rnd(m) % 6) {
	case 0:
		return now + 1;
	case 1:
		return now - 1;
	case 2:
		return now ^ 1ull << rnd(m) % 64;
	case 3:
		return rnd(m) % 64;
	case 4:
		return (uint64_t)-1;
	default:
		return numbers[rnd(m) % N_NUMBERS];
	}
}

static size_t
size_of(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	default:
		return 4;
	}
}

static void
release_value(const ProtobufCFieldDescriptor *f, void *at)
{
	char **s = at;
	ProtobufCMessage **message = at;

	if (f->type == PROTOBUF_C_TYPE_STRING && *s != f->default_value &&
	    *s != protobuf_c_empty_string)
		free(*s);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE && *message)
		protobuf_c_message_free_unpacked(*message, NULL);
}

static ProtobufCMessage *fresh(struct mutator *m, const ProtobufCMessageDescriptor *desc);

/* Writes a new value to the field at `at`, which holds a value, or 0 for a new entry. */
static void
change_value(struct mutator *m, const ProtobufCFieldDescriptor *f, void *at)
{
	char **s = at, *text;
	ProtobufCMessage **message = at;
	uint64_t number = 0;

	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		text = mutate_string(m, f->name, *s);
		release_value(f, at);
		*s = text;
		return;
	case PROTOBUF_C_TYPE_MESSAGE:
		if (*message && rnd(m) % 8) {
			pb_change(m, *message);
			return;
		}
		release_value(f, at);
		*message = fresh(m, f->descriptor);
		return;
	case PROTOBUF_C_TYPE_BYTES:
		return;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = !*(protobuf_c_boolean *)at;
		return;
	default:
		memcpy(&number, at, size_of(f));
		number = mutate_number(m, number);
		memcpy(at, &number, size_of(f));
	}
}

/* Adds or removes an entry, exchanges two, or changes one. */
static void
change_list(struct mutator *m, const ProtobufCFieldDescriptor *f, ProtobufCMessage *message)
{
	size_t *n = (size_t *)(void *)((char *)message + f->quantifier_offset);
	char **list = (char **)(void *)((char *)message + f->offset), *grown;
	size_t size = size_of(f), i = *n ? rnd(m) % *n : 0, last;
	char swap[sizeof(ProtobufCBinaryData)];

	if (*n < ENTRIES_MAX && (*n == 0 || rnd(m) % 3 == 0)) {
		grown = realloc(*list, (*n + 1) * size);
		MUST(grown);
		*list = grown;
		memset(grown + *n * size, 0, size);
		change_value(m, f, grown + *n * size);
		++*n;
		return;
	}
	last = *n - 1;
	switch (rnd(m) % 4) {
	case 0:
		release_value(f, *list + i * size);
		memmove(*list + i * size, *list + last * size, size);
		*n = last;
		return;
	case 1:
		memcpy(swap, *list + i * size, size);
		memcpy(*list + i * size, *list + last * size, size);
		memcpy(*list + last * size, swap, size);
		return;
	default:
		change_value(m, f, *list + i * size);
	}
}

void
pb_change(struct mutator *m, ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *desc = message->descriptor;
	const ProtobufCFieldDescriptor *f;
	char *at;

	if (desc->n_fields == 0)
		return;
	f = &desc->fields[rnd(m) % desc->n_fields];
	at = (char *)message + f->offset;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		change_list(m, f, message);
	} else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		/* The protocol's maps contain only numbers. */
		if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)
			return;
		*(uint32_t *)(void *)((char *)message + f->quantifier_offset) = f->id;
		change_value(m, f, at);
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE && rnd(m) % 16 == 0) {
		release_value(f, at);
		*(ProtobufCMessage **)(void *)at = NULL;
	} else {
		change_value(m, f, at);
	}
}

static ProtobufCMessage *
fresh(struct mutator *m, const ProtobufCMessageDescriptor *desc)
{
	uint8_t bytes[FRESH_MAX];
	size_t n = mutate_message(m, desc, rnd(m) % 2, false, bytes, sizeof(bytes));

	return protobuf_c_message_unpack(desc, NULL, n, bytes);
}

size_t
pb_mutate(const ProtobufCMessageDescriptor *desc, uint8_t *data, size_t size, size_t max,
	  unsigned int seed)
{
	ProtobufCMessage *message;
	struct mutator m;
	size_t n;

	mutate_init(&m, (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) + 1, no_ids);
	message = rnd(&m) % 64 ? protobuf_c_message_unpack(desc, NULL, size, data) : NULL;
	if (!message)
		message = fresh(&m, desc);
	if (!message)
		return LLVMFuzzerMutate(data, size, max);
	for (uint64_t i = 1 + rnd(&m) % CHANGES_MAX; i > 0; i--)
		pb_change(&m, message);
	n = protobuf_c_message_get_packed_size(message);
	if (n <= max)
		protobuf_c_message_pack(message, data);
	protobuf_c_message_free_unpacked(message, NULL);
	return n <= max ? n : size;
}
