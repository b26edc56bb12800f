/* SPDX-License-Identifier: Apache-2.0 */
/* Running cases: what main.c asks of harness.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SUITE_ONLY_MAX 32

struct suite_options {
	const char *address; /* NULL: start an agent here */
	const char *only[SUITE_ONLY_MAX];
	size_t n_only;
	/* cases of this field or this name are left out */
	const char *without[SUITE_ONLY_MAX];
	size_t n_without;
	const char *ignore, *rows;
};

/* Prints field<tab>name of every case. */
void suite_list(void);

/* Prints the path of every field of grpc.Spec and its messages. */
void suite_fields(void);
/* Is there such a field of the spec, or below "exec." of a process, "update." of resources? */
bool suite_has_field(const char *path);

/* TAP on stdout; the exit code. */
int suite_run(const struct suite_options *o);
