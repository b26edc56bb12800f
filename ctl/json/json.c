/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to messages. protobuf-c frees what is allocated here, hence plain malloc(). */
#include "ctl/json/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl/json/base64.h"
#include "lib/parse.h"
#include "lib/pbfield.h"

/* The current position in the document for error messages: "OCI.Process.Args[2]". */
struct where {
	char path[200];
	size_t len;
	/* NULL: those of the protocol */
	const struct json_names *names;
	struct error *err;
};

static int json_read_message(struct where *w, const ProtobufCMessageDescriptor *desc,
			     const json_t *json, ProtobufCMessage **member);
static int json_fill_message(struct where *w, ProtobufCMessage *message, const json_t *json);
static int json_fill_field(struct where *w, ProtobufCMessage *message,
			   const ProtobufCFieldDescriptor *f, const json_t *json);
static int json_read_map(struct where *w, const ProtobufCFieldDescriptor *f, const json_t *json,
			 ProtobufCMessage ***member, size_t *count);
static int json_read_array(struct where *w, const ProtobufCFieldDescriptor *f, const json_t *json,
			   uint8_t **member, size_t *count);
static int json_read_value(struct where *w, const ProtobufCFieldDescriptor *f, const json_t *json,
			   void *member);

static int
json_fail(struct where *w, const char *why)
{
	return error_set(w->err, ERROR_INVALID_ARGUMENT, "%s%s%s", w->path, w->len ? ": " : "",
			 why);
}

static int
json_nomem(struct where *w)
{
	return error_nomem(w->err, "reading JSON");
}

static int
json_expected(struct where *w, const char *what, const json_t *json)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",  [JSON_STRING] = "a string",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",      [JSON_NULL] = "null",
	};
	char why[100];

	snprintf(why, sizeof(why), "expected %s, not %s", what, names[json_typeof(json)]);
	return json_fail(w, why);
}

/* Appends to the path and returns the length that where_pop() restores. A path that is too long
 * is truncated. */
static size_t __attribute__((format(printf, 2, 3)))
where_push(struct where *w, const char *fmt, ...)
{
	size_t old = w->len, room = sizeof(w->path) - w->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->path + w->len, room, fmt, ap);
	va_end(ap);
	w->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
	return old;
}

static void
where_pop(struct where *w, size_t old)
{
	w->len = old;
	w->path[old] = '\0';
}

ProtobufCMessage *
json_to_message(const ProtobufCMessageDescriptor *desc, const json_t *json, struct error *err)
{
	return json_to_message_named(NULL, desc, json, err);
}

ProtobufCMessage *
json_to_message_named(const struct json_names *names, const ProtobufCMessageDescriptor *desc,
		      const json_t *json, struct error *err)
{
	struct where w = { .names = names, .err = err };
	ProtobufCMessage *message = NULL;

	return json_read_message(&w, desc, json, &message) < 0 ? NULL : message;
}

static int
json_read_message(struct where *w, const ProtobufCMessageDescriptor *desc, const json_t *json,
		  ProtobufCMessage **member)
{
	ProtobufCMessage *message = malloc(desc->sizeof_message);

	if (!message)
		return json_nomem(w);
	protobuf_c_message_init(desc, message);
	if (json_fill_message(w, message, json) < 0) {
		protobuf_c_message_free_unpacked(message, NULL);
		return -1;
	}
	*member = message;
	return 0;
}

/* Writes the name of field i in the document. */
static void
json_name(const struct where *w, const ProtobufCMessageDescriptor *desc, unsigned i, char *out,
	  size_t size)
{
	if (w->names)
		w->names->name(&desc->fields[i], out, size);
	else
		(void)snprintf(out, size, "%s", desc->fields[i].name);
}

static const ProtobufCFieldDescriptor *
json_find_field(const struct where *w, const ProtobufCMessageDescriptor *desc, const char *name)
{
	char known[64];

	for (unsigned i = 0; desc->fields && i < desc->n_fields; i++) {
		json_name(w, desc, i, known, sizeof(known));
		if (strcmp(known, name) == 0 && known[0])
			return &desc->fields[i];
	}
	return NULL;
}

/* Suggests the right spelling for a name that differs only in case. */
static int
json_unknown_field(struct where *w, const ProtobufCMessageDescriptor *desc, const char *name)
{
	char why[200], known[64];

	for (unsigned i = 0; desc->fields && i < desc->n_fields; i++) {
		json_name(w, desc, i, known, sizeof(known));
		if (strcasecmp(known, name) != 0 || !known[0])
			continue;
		if (w->names)
			snprintf(why, sizeof(why), "unknown field; did you mean '%s'?", known);
		else
			snprintf(why, sizeof(why), "%s has no such field; did you mean '%s'?",
				 desc->name, known);
		return json_fail(w, why);
	}
	if (w->names)
		return json_fail(w, "unknown field");
	snprintf(why, sizeof(why), "%s has no such field", desc->name);
	return json_fail(w, why);
}

static int
json_fill_message(struct where *w, ProtobufCMessage *message, const json_t *json)
{
	const char *name;
	json_t *value;

	if (!json_is_object(json))
		return json_expected(w, "an object", json);
	json_object_foreach((json_t *)json, name, value)
	{
		const ProtobufCFieldDescriptor *f = json_find_field(w, message->descriptor, name);
		size_t old = where_push(w, "%s%s", w->len ? "." : "", name);
		bool is_left_out = !f && w->names && w->names->leave_out(w->names->data, w->path);

		if (!f && !is_left_out)
			return json_unknown_field(w, message->descriptor, name);
		if (f && !json_is_null(value) && json_fill_field(w, message, f, value) < 0)
			return -1;
		where_pop(w, old);
	}
	return 0;
}

static int
json_fill_field(struct where *w, ProtobufCMessage *message, const ProtobufCFieldDescriptor *f,
		const json_t *json)
{
	uint8_t *base = (uint8_t *)message;
	void *member = base + f->offset, *quantifier = base + f->quantifier_offset;

	if (pbfield_is_map(f))
		return json_read_map(w, f, json, member, quantifier);
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return json_read_array(w, f, json, member, quantifier);
	if (!(f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return json_read_value(w, f, json, member);
	if (*(uint32_t *)quantifier != 0)
		return json_fail(w, "another member of the same oneof is set too");
	if (json_read_value(w, f, json, member) < 0)
		return -1;
	*(uint32_t *)quantifier = f->id;
	return 0;
}

static int
json_read_map(struct where *w, const ProtobufCFieldDescriptor *f, const json_t *json,
	      ProtobufCMessage ***member, size_t *count)
{
	const ProtobufCMessageDescriptor *entry = f->descriptor;
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return json_expected(w, "an object", json);
	if (json_object_size(json) == 0)
		return 0;
	*member = calloc(json_object_size(json), sizeof(**member));
	if (!*member)
		return json_nomem(w);
	json_object_foreach((json_t *)json, key, value)
	{
		size_t old = where_push(w, "[\"%s\"]", key);
		json_t *text = json_string(key);
		ProtobufCMessage *m = malloc(entry->sizeof_message);
		int rc = -1;

		if (m)
			protobuf_c_message_init(entry, m);
		if (!m || !text)
			json_nomem(w);
		else
			rc = json_read_value(w, &entry->fields[0], text,
					     (uint8_t *)m + entry->fields[0].offset);
		if (rc == 0)
			rc = json_read_value(w, &entry->fields[1], value,
					     (uint8_t *)m + entry->fields[1].offset);
		json_decref(text);
		if (rc < 0) {
			protobuf_c_message_free_unpacked(m, NULL);
			return -1;
		}
		(*member)[(*count)++] = m;
		where_pop(w, old);
	}
	return 0;
}

/* *count includes complete elements only, so that a partly filled message can be freed. */
static int
json_read_array(struct where *w, const ProtobufCFieldDescriptor *f, const json_t *json,
		uint8_t **member, size_t *count)
{
	size_t n = json_array_size(json), size = pbfield_size(f->type);

	if (!json_is_array(json))
		return json_expected(w, "an array", json);
	if (n == 0)
		return 0;
	*member = calloc(n, size);
	if (!*member)
		return json_nomem(w);
	for (size_t i = 0; i < n; i++) {
		size_t old = where_push(w, "[%zu]", i);

		if (json_read_value(w, f, json_array_get(json, i), *member + i * size) < 0)
			return -1;
		*count += 1;
		where_pop(w, old);
	}
	return 0;
}

/* ---- values ---- */

/* Reads an integer within [min, max], given as a number or a decimal string. */
static int
json_read_signed(struct where *w, const json_t *json, int64_t min, int64_t max, int64_t *out)
{
	if (json_is_integer(json))
		*out = json_integer_value(json);
	else if (!json_is_string(json))
		return json_expected(w, "an integer", json);
	else if (!parse_i64(json_string_value(json), out))
		return json_fail(w, "not a 64-bit integer");
	if (*out < min || *out > max)
		return json_fail(w, "number is out of range");
	return 0;
}

static int
json_read_unsigned(struct where *w, const json_t *json, uint64_t max, uint64_t *out)
{
	if (json_is_integer(json) && json_integer_value(json) < 0)
		return json_fail(w, "number must not be negative");
	if (json_is_integer(json))
		*out = (uint64_t)json_integer_value(json);
	else if (!json_is_string(json))
		return json_expected(w, "an integer", json);
	else if (!parse_u64(json_string_value(json), out))
		return json_fail(w, "not an unsigned 64-bit integer");
	if (*out > max)
		return json_fail(w, "number is out of range");
	return 0;
}

static int
json_read_number(struct where *w, ProtobufCType type, const json_t *json, void *member)
{
	bool wide = type == PROTOBUF_C_TYPE_INT64 || type == PROTOBUF_C_TYPE_UINT64;
	int64_t s;
	uint64_t u;

	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_INT64:
		if (json_read_signed(w, json, wide ? INT64_MIN : INT32_MIN,
				     wide ? INT64_MAX : INT32_MAX, &s) < 0)
			return -1;
		if (wide)
			*(int64_t *)member = s;
		else
			*(int32_t *)member = (int32_t)s;
		return 0;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_UINT64:
		if (json_read_unsigned(w, json, wide ? UINT64_MAX : UINT32_MAX, &u) < 0)
			return -1;
		if (wide)
			*(uint64_t *)member = u;
		else
			*(uint32_t *)member = (uint32_t)u;
		return 0;
	default:
		return json_fail(w, "numbers of this type are not supported");
	}
}

static int
json_read_enum(struct where *w, const ProtobufCEnumDescriptor *desc, const json_t *json,
	       int *member)
{
	const ProtobufCEnumValue *value;
	int64_t number;
	char why[300];
	size_t n;

	if (json_is_string(json)) {
		value = protobuf_c_enum_descriptor_get_value_by_name(desc, json_string_value(json));
		if (value) {
			*member = value->value;
			return 0;
		}
	} else {
		if (json_read_signed(w, json, INT32_MIN, INT32_MAX, &number) < 0)
			return -1;
		*member = (int)number;
		return 0;
	}
	n = (size_t)snprintf(why, sizeof(why), "must be one of");
	for (unsigned i = 0; i < desc->n_values && n < sizeof(why); i++)
		n += (size_t)snprintf(why + n, sizeof(why) - n, "%s %s", i ? "," : "",
				      desc->values[i].name);
	return json_fail(w, why);
}

static int
json_read_string(struct where *w, const json_t *json, char **member)
{
	if (!json_is_string(json))
		return json_expected(w, "a string", json);
	if (strlen(json_string_value(json)) != json_string_length(json))
		return json_fail(w, "string contains a NUL byte");
	*member = strdup(json_string_value(json));
	return *member ? 0 : json_nomem(w);
}

static int
json_read_bytes(struct where *w, const json_t *json, ProtobufCBinaryData *member)
{
	if (!json_is_string(json))
		return json_expected(w, "base64", json);
	member->data =
		base64_decode(json_string_value(json), json_string_length(json), &member->len);
	if (!member->data)
		return errno == ENOMEM ? json_nomem(w) : json_fail(w, "invalid base64");
	return 0;
}

/* Reads one value into `member`, which has the field's type and is empty. */
static int
json_read_value(struct where *w, const ProtobufCFieldDescriptor *f, const json_t *json,
		void *member)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return json_read_string(w, json, member);
	case PROTOBUF_C_TYPE_BYTES:
		return json_read_bytes(w, json, member);
	case PROTOBUF_C_TYPE_MESSAGE:
		return json_read_message(w, f->descriptor, json, member);
	case PROTOBUF_C_TYPE_ENUM:
		return json_read_enum(w, f->descriptor, json, member);
	case PROTOBUF_C_TYPE_BOOL:
		if (!json_is_boolean(json))
			return json_expected(w, "true or false", json);
		*(protobuf_c_boolean *)member = json_is_true(json);
		return 0;
	default:
		return json_read_number(w, f->type, json, member);
	}
}
