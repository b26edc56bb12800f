/* SPDX-License-Identifier: Apache-2.0 */
/* The interface between compile.c, which knows specs, and bpf.c, which knows BPF. Private to
 * this directory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/seccomp/filter.h"

#define FILTER_ARGS_MAX  6
#define FILTER_ARCHS_MAX 24

enum filter_op {
	FILTER_NE,
	FILTER_LT,
	FILTER_LE,
	FILTER_EQ,
	FILTER_GE,
	FILTER_GT,
	/* (arg & value) == value_two */
	FILTER_MASKED_EQ,
};

struct filter_arg {
	uint32_t index;
	/* The ABI has 32 bits: only the lower half is compared. */
	bool narrow;
	enum filter_op op;
	uint64_t value, value_two;
};

/* The action for a system call if all conditions hold. */
struct filter_rule {
	uint32_t nr;
	/* SECCOMP_RET_* */
	uint32_t action;
	uint32_t n_args;
	const struct filter_arg *args;
};

/* The system calls that are newer than the profile: numbers from `first` up to, but not
 * including, `end` (0: no end). No rule names one of them. */
struct filter_newer {
	uint32_t first, end;
};

/* Number of ABIs that share an architecture's token. */
#define FILTER_NEWER_MAX 2

/* The rules for one value of seccomp_data.arch. */
struct filter_arch {
	uint32_t token;
	/* Sorted by nr; rules with the same nr in the profile's order. */
	struct filter_rule *rules;
	size_t n_rules, size;
	/* In ascending order. */
	struct filter_newer newer[FILTER_NEWER_MAX];
	size_t n_newer;
	/* Calls from this number on belong to an ABI that the profile does not list; 0: none. */
	uint32_t limit;
};

/* Generates the program for all architectures: action `otherwise` for calls without a rule,
 * ENOSYS for newer ones, action `bad_arch` for other architectures and ABIs. Returns 0, or -1
 * and err. */
int filter_generate(const struct filter_arch *archs, size_t n_archs, uint32_t otherwise,
		    uint32_t bad_arch, struct filter *out, struct error *err);

/* Parses an action to SECCOMP_RET_* with its data; an errno of 0 becomes EPERM. Returns false
 * for an unknown name. */
bool filter_action_parse(const char *name, uint32_t errno_ret, uint32_t *out);

/* Returns errnoRet, or 0 if it is not set. */
uint32_t filter_errno_of(const Grpc__LinuxSyscall *call);

/* Parses an operator. Returns false for an unknown name. */
bool filter_op_parse(const char *name, enum filter_op *out);

/* Adds the flag to *out. Returns false for an unknown name. */
bool filter_flag_parse(const char *name, uint32_t *out);

/* Returns libseccomp's token for "SCMP_ARCH_X86_64" and the like, or 0 for an unknown name. */
uint32_t filter_arch_parse(const char *name);
