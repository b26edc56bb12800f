/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of fields that follow from the descriptors of protobuf-c. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

/* Returns whether the field is a map (`map<…> name = n` in the .proto file): protoc turns it into a
 * repeated message NameEntry with the fields key and value. */
bool pbfield_is_map(const ProtobufCFieldDescriptor *field);

/* Returns the size in bytes of one value of the type, in a message and in the array of a repeated
 * field. */
size_t pbfield_size(ProtobufCType type);
