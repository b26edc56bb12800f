/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exists only in a build for tests (-Dignore_fields=true), which is never shipped: an agent that
 * ignores a field on request. With it, the suite of docs/oci.md verifies that the test of each
 * field fails if the field has no effect.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

/*
 * Removes the field named by the annotation "tatami.test.ignore" of a CreateContainer request from
 * its spec. A path that begins with "exec." or "update." is stored and applied to the process of
 * later ExecProcess requests or the resources of later UpdateContainer requests. Other fields are
 * not changed. Never blocks.
 */
void ignore_field(const ProtobufCMessage *request);
