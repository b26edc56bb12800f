/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to JSON for human readers: fields with default values are included. */
#include <stdlib.h>
#include <string.h>

#include "ctl/json/base64.h"
#include "ctl/json/json.h"
#include "lib/pbfield.h"

static int json_from_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *f,
			   json_t **json, struct error *err);
static json_t *json_from_map(ProtobufCMessage *const *entries, size_t n, struct error *err);
static json_t *json_from_array(const ProtobufCFieldDescriptor *f, const uint8_t *elements, size_t n,
			       struct error *err);
static json_t *json_from_value(const ProtobufCFieldDescriptor *f, const void *member,
			       struct error *err);

/* Returns `json`, or sets an out-of-memory error if it is NULL. */
static json_t *
json_made(json_t *json, struct error *err)
{
	if (!json)
		error_nomem(err, "writing JSON");
	return json;
}

json_t *
json_from_message(const ProtobufCMessage *message, struct error *err)
{
	const ProtobufCMessageDescriptor *desc = message->descriptor;
	json_t *object = json_made(json_object(), err);

	for (unsigned i = 0; object && i < desc->n_fields; i++) {
		json_t *value = NULL;

		if (json_from_field(message, &desc->fields[i], &value, err) < 0 ||
		    (value && json_object_set_new(object, desc->fields[i].name, value) < 0 &&
		     !json_made(NULL, err))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* Leaves *json NULL for a field that is not set. */
static int
json_from_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *f, json_t **json,
		struct error *err)
{
	const uint8_t *base = (const uint8_t *)message;
	const void *member = base + f->offset;
	const void *quantifier = base + f->quantifier_offset;

	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && *(const uint32_t *)quantifier != f->id)
		return 0;
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = *(const size_t *)quantifier;

		if (pbfield_is_map(f) &&
		    ((const ProtobufCMessageDescriptor *)f->descriptor)->fields[0].type ==
			    PROTOBUF_C_TYPE_STRING)
			*json = json_from_map(*(ProtobufCMessage *const *const *)member, n, err);
		else
			*json = json_from_array(f, *(const uint8_t *const *)member, n, err);
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE && !*(void *const *)member) {
		return 0;
	} else {
		*json = json_from_value(f, member, err);
	}
	return *json ? 0 : -1;
}

static json_t *
json_from_map(ProtobufCMessage *const *entries, size_t n, struct error *err)
{
	json_t *object = json_made(json_object(), err);

	for (size_t i = 0; object && i < n; i++) {
		const ProtobufCFieldDescriptor *fields = entries[i]->descriptor->fields;
		const uint8_t *base = (const uint8_t *)entries[i];
		const char *key = *(char *const *)(base + fields[0].offset);
		json_t *value = json_from_value(&fields[1], base + fields[1].offset, err);

		if (!value || (json_object_set_new(object, key ? key : "", value) < 0 &&
			       !json_made(NULL, err))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static json_t *
json_from_array(const ProtobufCFieldDescriptor *f, const uint8_t *elements, size_t n,
		struct error *err)
{
	json_t *array = json_made(json_array(), err);

	for (size_t i = 0; array && i < n; i++) {
		json_t *value = json_from_value(f, elements + i * pbfield_size(f->type), err);

		/* The _new functions consume the value even if they fail. */
		if (!value || (json_array_append_new(array, value) < 0 && !json_made(NULL, err))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *
json_from_string(const char *s, struct error *err)
{
	json_t *json = json_string(s ? s : "");

	if (!json)
		error_set(err, ERROR_INVALID_ARGUMENT, "a string is not UTF-8");
	return json;
}

static json_t *
json_from_bytes(const ProtobufCBinaryData *bytes)
{
	char *text = base64_encode(bytes->data, bytes->len);
	json_t *json = text ? json_string(text) : NULL;

	free(text);
	return json;
}

static json_t *
json_from_enum(const ProtobufCEnumDescriptor *desc, int number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(desc, number);

	return value ? json_string(value->name) : json_integer(number);
}

static json_t *
json_from_u64(uint64_t v)
{
	char text[24];

	/* Integers of the JSON library are signed. */
	if (v <= INT64_MAX)
		return json_integer((json_int_t)v);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return json_string(text);
}

static json_t *
json_from_value(const ProtobufCFieldDescriptor *f, const void *member, struct error *err)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return json_from_string(*(char *const *)member, err);
	case PROTOBUF_C_TYPE_BYTES:
		return json_made(json_from_bytes(member), err);
	case PROTOBUF_C_TYPE_MESSAGE:
		return json_from_message(*(ProtobufCMessage *const *)member, err);
	case PROTOBUF_C_TYPE_ENUM:
		return json_made(json_from_enum(f->descriptor, *(const int *)member), err);
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)member);
	case PROTOBUF_C_TYPE_INT32:
		return json_made(json_integer(*(const int32_t *)member), err);
	case PROTOBUF_C_TYPE_UINT32:
		return json_made(json_integer(*(const uint32_t *)member), err);
	case PROTOBUF_C_TYPE_INT64:
		return json_made(json_integer(*(const int64_t *)member), err);
	case PROTOBUF_C_TYPE_UINT64:
		return json_made(json_from_u64(*(const uint64_t *)member), err);
	default:
		error_set(err, ERROR_INVALID_ARGUMENT, "%s: numbers of this type are not supported",
			  f->name);
		return NULL;
	}
}
