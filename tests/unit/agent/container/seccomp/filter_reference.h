/* SPDX-License-Identifier: Apache-2.0 */
/* Seccomp programs for tests: rules in plain form, made into a program by libseccomp, and what a program answers. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/seccomp/filter.h"

#define RULE_ARGS_MAX 6

struct rule_row {
	const char *action, *names; /* names separated by commas */
	int n_args;
	struct {
		uint64_t index;
		const char *op;
		uint64_t value, value_two;
	} args[RULE_ARGS_MAX];
	uint32_t number; /* errnoRet; 0: not given */
	bool refused;    /* by libseccomp: it contradicts an earlier one */
};

#define REFERENCE_ARCHS_MAX 4

struct reference {
	struct sock_filter insns[FILTER_MAX];
	size_t n;
	/* the highest number that the profile names, of each ABI; no ABIs if the default action lets calls through */
	struct {
		uint32_t token, newest;
	} newest[REFERENCE_ARCHS_MAX];
	size_t n_newest;
};

/* What the kernel would do (Documentation/networking/filter.rst). */
uint32_t reference_answer(const struct sock_filter *insns, size_t n,
			  const struct seccomp_data *data);

/* What libseccomp's program says, but for calls that are newer than the profile: those get ENOSYS, as with runc. */
uint32_t reference_expects(const struct reference *r, const struct seccomp_data *data);

/* An action's value, 0 being EPERM. */
uint32_t reference_action(const char *name, uint32_t number);

/* libseccomp's program; marks the rows that it refuses. False: it makes none, or none that the kernel would take. */
bool reference_make(const char *default_action, const uint32_t *archs, size_t n_archs,
		    struct rule_row *rows, size_t n, struct reference *out);

/* Ours, of the rows that libseccomp took. archs: of runtime-spec, NULL-terminated. */
void reference_ours(const char *default_action, const char *const *archs,
		    const struct rule_row *rows, size_t n, struct filter *out);
