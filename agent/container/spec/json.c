/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON: a container's state and its config.json, both for hooks. */
#include "agent/container/spec/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/launch/caps.h"
#include "agent/container/ns/namespaces.h"
#include "lib/cleanup.h"

#define DEPTH_MAX 16 /* of the spec's messages; they do not refer to themselves */

int
json_raw(struct buf *b, const char *text)
{
	return buf_append(b, text, strlen(text));
}

int
json_quoted(struct buf *b, const char *text)
{
	char code[8];

	if (json_raw(b, "\"") < 0)
		return -1;
	for (const char *p = text; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\')
			(void)snprintf(code, sizeof(code), "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			(void)snprintf(code, sizeof(code), "\\u%04x", c);
		else
			(void)snprintf(code, sizeof(code), "%c", c);
		if (json_raw(b, code) < 0)
			return -1;
	}
	return json_raw(b, "\"");
}

int
json_int(struct buf *b, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	return json_raw(b, text);
}

int
json_uint(struct buf *b, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_raw(b, text);
}

/* "UIDMappings" -> "uidMappings": the field names of runtime-spec. */
static int
write_name(struct buf *b, const char *name)
{
	static const char *const others[][2] = {
		{ "Version", "ociVersion" },
		{ "Pagesize", "pageSize" },
		{ "errnoret", "errnoRet" },
	};
	char text[64];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (strcmp(others[i][0], name) == 0)
			return json_quoted(b, others[i][1]);
	}
	(void)snprintf(text, sizeof(text), "%s", name);
	while (isupper((unsigned char)text[n]) &&
	       (n == 0 || !islower((unsigned char)text[n + 1]))) {
		text[n] = (char)tolower((unsigned char)text[n]);
		n++;
	}
	return json_quoted(b, text);
}

static bool
is_field_of(const ProtobufCFieldDescriptor *f, const ProtobufCMessageDescriptor *d)
{
	return f >= d->fields && f < d->fields + d->n_fields;
}

/* Writes a text. Words of which the protocol has more than one spelling get that of the runtime specification. */
static int
write_text(struct buf *b, const ProtobufCFieldDescriptor *f, const char *text)
{
	enum ns_kind kind;
	char name[CAP_NAME_SIZE];

	if (is_field_of(f, &grpc__linux_namespace__descriptor) && strcmp(f->name, "Type") == 0 &&
	    ns_kind_parse(text, &kind))
		text = ns_kind_name(kind);
	else if (is_field_of(f, &grpc__linux_capabilities__descriptor) &&
		 cap_name_canonical(text, name))
		text = name;
	return json_quoted(b, text);
}

static int write_message(struct buf *b, const ProtobufCMessage *m, int depth);

/* The value at p. False in *set: it is the default, nothing was written. */
static int
write_value(struct buf *b, const ProtobufCFieldDescriptor *f, const void *p, int depth)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		return write_text(b, f, *(char *const *)p);
	case PROTOBUF_C_TYPE_BOOL:
		return json_raw(b, *(const protobuf_c_boolean *)p ? "true" : "false");
	case PROTOBUF_C_TYPE_UINT32:
		return json_uint(b, *(const uint32_t *)p);
	case PROTOBUF_C_TYPE_UINT64:
		return json_uint(b, *(const uint64_t *)p);
	case PROTOBUF_C_TYPE_INT64:
		return json_int(b, *(const int64_t *)p);
	case PROTOBUF_C_TYPE_MESSAGE:
		return write_message(b, *(ProtobufCMessage *const *)p, depth + 1);
	default:
		return json_raw(b, "null"); /* no other type occurs in a spec */
	}
}

static size_t
value_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_UINT32:
		return sizeof(uint32_t);
	default:
		return sizeof(uint64_t);
	}
}

static bool
is_map(const ProtobufCFieldDescriptor *f)
{
	const ProtobufCMessageDescriptor *d = f->descriptor;

	return f->type == PROTOBUF_C_TYPE_MESSAGE && d->n_fields == 2 &&
	       strcmp(d->fields[0].name, "key") == 0 && strcmp(d->fields[1].name, "value") == 0;
}

/* {"key":"value",...} of a map from string to string */
static int
write_map(struct buf *b, const ProtobufCFieldDescriptor *f, ProtobufCMessage *const *list, size_t n)
{
	const ProtobufCFieldDescriptor *fields =
		((const ProtobufCMessageDescriptor *)f->descriptor)->fields;

	for (size_t i = 0; i < n; i++) {
		const char *entry = (const char *)list[i];

		if (json_raw(b, i ? "," : "{") < 0 ||
		    json_quoted(b, *(char *const *)(const void *)(entry + fields[0].offset)) < 0 ||
		    json_raw(b, ":") < 0 ||
		    json_quoted(b, *(char *const *)(const void *)(entry + fields[1].offset)) < 0)
			return -1;
	}
	return json_raw(b, "}");
}

static int
write_list(struct buf *b, const ProtobufCFieldDescriptor *f, const char *list, size_t n, int depth)
{
	for (size_t i = 0; i < n; i++) {
		if (json_raw(b, i ? "," : "[") < 0 ||
		    write_value(b, f, list + i * value_size(f), depth) < 0)
			return -1;
	}
	return json_raw(b, "]");
}

/* Is the field of this message not to be written? */
static bool
is_default(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	static const uint64_t zero;
	const char *at = (const char *)m + f->offset;
	const void *quantifier = (const char *)m + f->quantifier_offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)quantifier == 0;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)quantifier != f->id;
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return !**(char *const *)(const void *)at;
	return memcmp(at, &zero, value_size(f)) == 0;
}

static int
write_message(struct buf *b, const ProtobufCMessage *m, int depth)
{
	bool first = true;

	if (depth > DEPTH_MAX || json_raw(b, "{") < 0)
		return -1;
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *at = (const char *)m + f->offset;
		size_t n;
		int r;

		if (is_default(m, f))
			continue;
		if ((!first && json_raw(b, ",") < 0) || write_name(b, f->name) < 0 ||
		    json_raw(b, ":") < 0)
			return -1;
		first = false;
		n = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
		if (f->label != PROTOBUF_C_LABEL_REPEATED)
			r = write_value(b, f, at, depth);
		else if (is_map(f))
			r = write_map(b, f, *(ProtobufCMessage *const *const *)(const void *)at, n);
		else
			r = write_list(b, f, *(const char *const *)(const void *)at, n, depth);
		if (r < 0)
			return -1;
	}
	return json_raw(b, "}");
}

int
json_spec(struct buf *b, const Grpc__Spec *spec)
{
	return write_message(b, &spec->base, 0);
}
