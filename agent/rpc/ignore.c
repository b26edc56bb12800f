/* SPDX-License-Identifier: Apache-2.0 */
/* See ignore.h. Works on the descriptors: it knows no names of fields. */
#include "agent/rpc/ignore.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent.pb-c.h"
#include "lib/pbfield.h"

#define KEY       "tatami.test.ignore"
#define FIELD_MAX 256

/* The annotation of the last created container; the tests create one at a time. */
static char kept[FIELD_MAX];

static void ignore_on_create(Grpc__Spec *spec);
static void ignore_take_out(ProtobufCMessage *m, const char *path);
static void ignore_clear(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f);
static void ignore_on_later(ProtobufCMessage *m, const char *prefix);

static void *
ignore_member(ProtobufCMessage *m, unsigned int offset)
{
	return (char *)m + offset;
}

void
ignore_field(const ProtobufCMessage *request)
{
	ProtobufCMessage *m = (ProtobufCMessage *)(uintptr_t)request;

	if (m->descriptor == &grpc__create_container_request__descriptor)
		ignore_on_create(((Grpc__CreateContainerRequest *)m)->oci);
	else if (m->descriptor == &grpc__exec_process_request__descriptor)
		ignore_on_later((ProtobufCMessage *)((Grpc__ExecProcessRequest *)m)->process,
				"exec.");
	else if (m->descriptor == &grpc__update_container_request__descriptor)
		ignore_on_later((ProtobufCMessage *)((Grpc__UpdateContainerRequest *)m)->resources,
				"update.");
}

static void
ignore_on_create(Grpc__Spec *spec)
{
	kept[0] = '\0';
	for (size_t i = 0; spec && i < spec->n_annotations; i++) {
		if (strcmp(spec->annotations[i]->key, KEY) == 0)
			(void)snprintf(kept, sizeof(kept), "%s", spec->annotations[i]->value);
	}
	if (*kept)
		ignore_take_out(&spec->base, kept);
}

static const ProtobufCFieldDescriptor *
ignore_find(const ProtobufCMessageDescriptor *d, const char *name, size_t len)
{
	for (unsigned int i = 0; i < d->n_fields; i++) {
		if (strncasecmp(d->fields[i].name, name, len) == 0 && !d->fields[i].name[len])
			return &d->fields[i];
	}
	return NULL;
}

/* Tells whether `key` is `name`, or of the family `name/...`, such as the names of CDI devices. */
static bool
ignore_matches(const char *key, const char *name)
{
	size_t len = strlen(name);

	return strncmp(key, name, len) == 0 && (!key[len] || key[len] == '/');
}

static void
ignore_drop_key(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const char *key)
{
	const ProtobufCMessageDescriptor *d = f->descriptor;
	ProtobufCMessage **list = *(ProtobufCMessage ***)ignore_member(m, f->offset);
	size_t *n = ignore_member(m, f->quantifier_offset);
	size_t left = 0;

	for (size_t i = 0; i < *n; i++) {
		if (!ignore_matches(*(const char **)ignore_member(list[i], d->fields[0].offset),
				    key))
			list[left++] = list[i];
	}
	*n = left;
}

/* Removes the field at `path`, recursing for each component and for each element of a repeated
 * field. */
static void
ignore_take_out(ProtobufCMessage *m, const char *path)
{
	size_t len = strcspn(path, ".");
	const ProtobufCFieldDescriptor *f = m ? ignore_find(m->descriptor, path, len) : NULL;
	const char *rest = path[len] ? path + len + 1 : NULL;

	if (!f)
		return;
	if (!rest) {
		ignore_clear(m, f);
	} else if (pbfield_is_map(f)) {
		ignore_drop_key(m, f, rest);
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE && f->label == PROTOBUF_C_LABEL_REPEATED) {
		ProtobufCMessage **list = *(ProtobufCMessage ***)ignore_member(m, f->offset);

		for (size_t i = 0; i < *(size_t *)ignore_member(m, f->quantifier_offset); i++)
			ignore_take_out(list[i], rest);
	} else if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
		ignore_take_out(*(ProtobufCMessage **)ignore_member(m, f->offset), rest);
	}
}

/* Clears the field, as if it had not been sent. */
static void
ignore_clear(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		*(size_t *)ignore_member(m, f->quantifier_offset) = 0;
		return;
	}
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		*(uint32_t *)ignore_member(m, f->quantifier_offset) = 0;
		return;
	}
	if (f->type == PROTOBUF_C_TYPE_STRING)
		*(const char **)ignore_member(m, f->offset) = protobuf_c_empty_string;
	else
		memset(ignore_member(m, f->offset), 0, pbfield_size(f->type));
}

static void
ignore_on_later(ProtobufCMessage *m, const char *prefix)
{
	size_t len = strlen(prefix);

	if (m && strncmp(kept, prefix, len) == 0)
		ignore_take_out(m, kept + len);
}
