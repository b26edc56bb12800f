/* SPDX-License-Identifier: Apache-2.0 */
/* Interface of harness.c to main.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SUITE_ONLY_MAX 32

struct suite_options {
	/* NULL: start an agent on this machine */
	const char *address;
	const char *only[SUITE_ONLY_MAX];
	size_t n_only;
	/* fields or names of cases to skip */
	const char *without[SUITE_ONLY_MAX];
	size_t n_without;
	const char *ignore, *rows;
};

/* Prints field and name of every case, separated by a tab. */
void suite_list(void);

/* Prints the path of every field of grpc.Spec and its messages. */
void suite_fields(void);
/* Returns whether the field exists in the spec, or below "exec." in a process or "update." in
 * the resources. */
bool suite_has_field(const char *path);

/* Runs the cases with TAP output on stdout. Returns the exit code. */
int suite_run(const struct suite_options *o);
