/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a container as the runtime specification defines it, config.json, and the
 * protocol's message for it, whose fields have other names. Pure.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "agent.pb-c.h"
#include "lib/error.h"

struct oci_config {
	/* allocated with malloc(3), as protobuf-c frees it */
	Grpc__Spec *spec;
	/* paths of what is not passed on, separated by ", " */
	char ignored[1024];
};

/* Returns whether a document has the form of config.json, not of a request of the protocol. */
bool oci_config_is(const json_t *json);

/* Converts a document. Fields of the specification that the protocol lacks are noted as ignored;
 * others that are unknown are errors. Returns 0, or -1 and err (INVALID_ARGUMENT with the path of
 * the field). The caller releases *out in both cases. */
int oci_config_read(struct oci_config *out, const json_t *json, struct error *err);

/* Notes the path of a field that is not passed on, once. */
void oci_config_ignore(struct oci_config *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

void oci_config_release(struct oci_config *c);
