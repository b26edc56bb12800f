/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only in a build of the tests (-Dignore_fields=true), which is never shipped: an agent that ignores the field it is
 * told to. With it the suite of docs/oci.md sees that each field's test fails when the field does nothing.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

/*
 * Takes the field named by annotation "tatami.test.ignore" of a CreateContainer out of its spec. A path that begins
 * with "exec." or "update." is kept, and taken out of the process of the ExecProcess, the resources of the
 * UpdateContainer requests that follow. What else there is stays as it came. Never blocks.
 */
void ignore_field(const ProtobufCMessage *request);
