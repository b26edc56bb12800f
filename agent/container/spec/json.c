/* SPDX-License-Identifier: Apache-2.0 */
/* Serialises a spec as config.json, for hooks. */
#include "agent/container/spec/json.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "agent/container/launch/caps.h"
#include "agent/container/ns/namespaces.h"
#include "lib/cleanup.h"
#include "lib/json_put.h"
#include "lib/pbfield.h"

#define NAME_SIZE 64
/* Nesting limit; the spec's messages are not recursive. */
#define DEPTH_MAX 16

static void json_write_message(struct json_put *w, const char *key, const ProtobufCMessage *m,
			       int depth);
static bool json_is_default(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);
static void json_field_name(const char *name, char out[NAME_SIZE]);
static void json_write_value(struct json_put *w, const char *key, const ProtobufCFieldDescriptor *f,
			     const void *p, int depth);
static void json_write_text(struct json_put *w, const char *key, const ProtobufCFieldDescriptor *f,
			    const char *text);
static void json_write_map(struct json_put *w, const char *key, const ProtobufCFieldDescriptor *f,
			   ProtobufCMessage *const *list, size_t n);

int
json_spec(struct buf *b, const Grpc__Spec *spec)
{
	struct json_put w = { .buf = b };

	json_write_message(&w, NULL, &spec->base, 0);
	return w.has_failed ? -1 : 0;
}

static void
json_write_message(struct json_put *w, const char *key, const ProtobufCMessage *m, int depth)
{
	char name[NAME_SIZE];

	if (depth > DEPTH_MAX) {
		w->has_failed = true;
		return;
	}
	json_put_begin(w, key, '{');
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *at = (const char *)m + f->offset;
		const char *list;
		size_t n;

		if (json_is_default(m, f))
			continue;
		json_field_name(f->name, name);
		n = *(const size_t *)(const void *)((const char *)m + f->quantifier_offset);
		if (f->label != PROTOBUF_C_LABEL_REPEATED) {
			json_write_value(w, name, f, at, depth);
			continue;
		}
		if (pbfield_is_map(f)) {
			json_write_map(w, name, f,
				       *(ProtobufCMessage *const *const *)(const void *)at, n);
			continue;
		}
		list = *(const char *const *)(const void *)at;
		json_put_begin(w, name, '[');
		for (size_t k = 0; k < n; k++)
			json_write_value(w, NULL, f, list + k * pbfield_size(f->type), depth);
		json_put_end(w, ']');
	}
	json_put_end(w, '}');
}

/* Returns whether the field has its default value and is left out. */
static bool
json_is_default(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	static const char zero[sizeof(ProtobufCBinaryData)];
	const char *at = (const char *)m + f->offset;
	const void *quantifier = (const char *)m + f->quantifier_offset;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)quantifier == 0;
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)quantifier != f->id;
	if (f->type == PROTOBUF_C_TYPE_STRING)
		return !**(char *const *)(const void *)at;
	return memcmp(at, zero, pbfield_size(f->type)) == 0;
}

/* Converts a field name of the protocol to the runtime specification's: "UIDMappings" ->
 * "uidMappings". */
static void
json_field_name(const char *name, char out[NAME_SIZE])
{
	static const char *const others[][2] = {
		{ "Version", "ociVersion" },
		{ "Pagesize", "pageSize" },
		{ "errnoret", "errnoRet" },
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (strcmp(others[i][0], name) == 0) {
			(void)snprintf(out, NAME_SIZE, "%s", others[i][1]);
			return;
		}
	}
	(void)snprintf(out, NAME_SIZE, "%s", name);
	while (isupper((unsigned char)out[n]) && (n == 0 || !islower((unsigned char)out[n + 1]))) {
		out[n] = (char)tolower((unsigned char)out[n]);
		n++;
	}
}

static void
json_write_value(struct json_put *w, const char *key, const ProtobufCFieldDescriptor *f,
		 const void *p, int depth)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_STRING:
		json_write_text(w, key, f, *(char *const *)p);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		json_put_bool(w, key, *(const protobuf_c_boolean *)p);
		break;
	case PROTOBUF_C_TYPE_UINT32:
		json_put_u64(w, key, *(const uint32_t *)p);
		break;
	case PROTOBUF_C_TYPE_UINT64:
		json_put_u64(w, key, *(const uint64_t *)p);
		break;
	case PROTOBUF_C_TYPE_INT64:
		json_put_i64(w, key, *(const int64_t *)p);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		json_write_message(w, key, *(ProtobufCMessage *const *)p, depth + 1);
		break;
	default:
		/* A spec has no fields of other types. */
		json_put_null(w, key);
	}
}

static bool
json_is_field_of(const ProtobufCFieldDescriptor *f, const ProtobufCMessageDescriptor *d)
{
	return f >= d->fields && f < d->fields + d->n_fields;
}

/* Writes a string. Namespace types and capabilities, which have several spellings in the
 * protocol, are written in the runtime specification's. */
static void
json_write_text(struct json_put *w, const char *key, const ProtobufCFieldDescriptor *f,
		const char *text)
{
	enum ns_kind kind;
	char name[CAP_NAME_SIZE];

	if (json_is_field_of(f, &grpc__linux_namespace__descriptor) &&
	    strcmp(f->name, "Type") == 0 && ns_kind_parse(text, &kind))
		text = ns_kind_name(kind);
	else if (json_is_field_of(f, &grpc__linux_capabilities__descriptor) &&
		 cap_name_canonical(text, name))
		text = name;
	json_put_text(w, key, text);
}

/* Writes a map from string to string as an object. */
static void
json_write_map(struct json_put *w, const char *key, const ProtobufCFieldDescriptor *f,
	       ProtobufCMessage *const *list, size_t n)
{
	const ProtobufCFieldDescriptor *fields =
		((const ProtobufCMessageDescriptor *)f->descriptor)->fields;

	json_put_begin(w, key, '{');
	for (size_t i = 0; i < n; i++) {
		const char *entry = (const char *)list[i];

		json_put_text(w, *(char *const *)(const void *)(entry + fields[0].offset),
			      *(char *const *)(const void *)(entry + fields[1].offset));
	}
	json_put_end(w, '}');
}
