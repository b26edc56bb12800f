/* SPDX-License-Identifier: Apache-2.0 */
/* Reference seccomp programs for tests: rules compiled by libseccomp, and evaluation of
 * programs. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/seccomp/filter.h"

#define RULE_ARGS_MAX 6

struct rule_row {
	/* names separated by commas */
	const char *action, *names;
	int n_args;
	struct {
		uint64_t index;
		const char *op;
		uint64_t value, value_two;
	} args[RULE_ARGS_MAX];
	/* errnoRet; 0: not given */
	uint32_t number;
	/* by libseccomp: it contradicts an earlier one */
	bool refused;
};

#define REFERENCE_ARCHS_MAX 4

struct reference {
	struct sock_filter insns[FILTER_MAX];
	size_t n;
	/* the highest number that the profile names, of each ABI; no ABIs if the default action
	 * lets calls through */
	struct {
		uint32_t token, newest;
	} newest[REFERENCE_ARCHS_MAX];
	size_t n_newest;
};

/* Evaluates a program like the kernel (Documentation/networking/filter.rst). */
uint32_t reference_answer(const struct sock_filter *insns, size_t n,
			  const struct seccomp_data *data);

/* Returns the answer of libseccomp's program, except for calls newer than the profile, which get
 * ENOSYS, as with runc. */
uint32_t reference_expects(const struct reference *r, const struct seccomp_data *data);

/* Returns an action's value; an errno of 0 becomes EPERM. */
uint32_t reference_action(const char *name, uint32_t number);

/* Generates libseccomp's program and marks the rows that it refuses. Returns false if there is
 * none that the kernel accepts. */
bool reference_make(const char *default_action, const uint32_t *archs, size_t n_archs,
		    struct rule_row *rows, size_t n, struct reference *out);

/* Compiles the rows that libseccomp accepted with filter_compile(). `archs` are names of the
 * runtime specification, NULL-terminated. */
void reference_ours(const char *default_action, const char *const *archs,
		    const struct rule_row *rows, size_t n, struct filter *out);
