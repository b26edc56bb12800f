/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of messages. */
#include "lib/pbfield.h"

#include <stdint.h>
#include <string.h>

bool
pbfield_is_map(const ProtobufCFieldDescriptor *field)
{
	static const char suffix[] = "Entry";
	const ProtobufCMessageDescriptor *entry = field->descriptor;
	size_t n;

	if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE)
		return false;
	n = strlen(entry->name);
	return n >= sizeof(suffix) && strcmp(entry->name + n + 1 - sizeof(suffix), suffix) == 0 &&
	       entry->n_fields == 2 && entry->fields[0].id == 1 && entry->fields[1].id == 2 &&
	       strcmp(entry->fields[0].name, "key") == 0 &&
	       strcmp(entry->fields[1].name, "value") == 0;
}

size_t
pbfield_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		break;
	}
	return sizeof(ProtobufCBinaryData);
}
