/* SPDX-License-Identifier: Apache-2.0 */
/* Between compile.c, which knows specs, and bpf.c, which knows BPF. Nobody else includes this. */
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
	FILTER_MASKED_EQ, /* (arg & value) == value_two */
};

struct filter_arg {
	uint32_t index;
	bool narrow; /* of an ABI of 32 bits: the lower half is all that counts */
	enum filter_op op;
	uint64_t value, value_two;
};

/* All args must hold. */
struct filter_rule {
	uint32_t nr;     /* of the system call */
	uint32_t action; /* SECCOMP_RET_* */
	uint32_t n_args;
	const struct filter_arg *args;
};

/* Numbers from `first` on, up to but not including `end` (0: all that follow): calls that are newer than a profile. No rule
 * names one of them. */
struct filter_newer {
	uint32_t first, end;
};

#define FILTER_NEWER_MAX 2 /* ABIs that share an architecture's token */

/* What holds for system calls of one value of seccomp_data.arch. */
struct filter_arch {
	uint32_t token;
	struct filter_rule *rules; /* sorted by nr; earlier ones first */
	size_t n_rules, size;
	struct filter_newer newer[FILTER_NEWER_MAX]; /* in ascending order */
	size_t n_newer;
	/* from this number on (0: none) calls are of an ABI that the profile does not list */
	uint32_t limit;
};

/* Makes a program for all archs: `otherwise` for calls without a rule, ENOSYS for newer ones, `bad_arch` for other archs and
 * ABIs. */
int filter_generate(const struct filter_arch *archs, size_t n_archs, uint32_t otherwise,
		    uint32_t bad_arch, struct filter *out, struct error *err);

/* SECCOMP_RET_* with its data; false for an unknown name. An errno of 0 becomes EPERM. */
bool filter_action_parse(const char *name, uint32_t errno_ret, uint32_t *out);

/* The data of errnoRet, 0 for unset. */
uint32_t filter_errno_of(const Grpc__LinuxSyscall *call);

bool filter_op_parse(const char *name, enum filter_op *out);

/* Adds the flag to *out. */
bool filter_flag_parse(const char *name, uint32_t *out);

/* "SCMP_ARCH_X86_64" -> libseccomp's token, 0 if there is none. */
uint32_t filter_arch_parse(const char *name);
