/* SPDX-License-Identifier: Apache-2.0 */
/* Compilation of a spec's seccomp profile to a BPF program (seccomp(2)). libseccomp resolves the
 * names of system calls and architectures, but does not generate the program: for the usual profile
 * of three architectures that takes it 20 to 40 ms, more than the rest of a container's start.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* The kernel's limit on instructions (BPF_MAXINSNS). */
#define FILTER_MAX 4096

struct filter {
	/* SECCOMP_FILTER_FLAG_* */
	uint32_t flags;
	/* Number of instructions; 0: no filter. */
	uint32_t n;
	struct sock_filter insns[FILTER_MAX];
};

/* Checks the profile's actions, operators, architectures, flags and argument indexes. Returns 0,
 * or -1 and INVALID_ARGUMENT with the field's name. Pure. */
int filter_validate(const Grpc__LinuxSeccomp *profile, struct error *err);

/* Compiles a valid profile. System calls unknown to libseccomp are ignored, as are rules that
 * repeat the default action. Unless the default action lets calls through, calls above the
 * highest number in the profile fail with ENOSYS, for each ABI. Conditions on the same argument
 * are alternatives; conditions on different arguments must all hold. Returns 0, or -1 and err. */
int filter_compile(const Grpc__LinuxSeccomp *profile, struct filter *out, struct error *err);

/* Installs the filter for the calling process, which needs no_new_privs or CAP_SYS_ADMIN.
 * Returns 0, or -1 and errno. */
int filter_load(const struct filter *filter);

/* Returns whether a process survives the system call `number` of the native architecture with
 * all arguments 0, and no tracer or listener is involved. Pure. */
bool filter_survives(const struct filter *filter, long number);

/* Returns whether the filter allows the call with these first two arguments, the others being 0.
 * Pure. */
bool filter_allows(const struct filter *filter, long number, const uint64_t args[2]);

/* Returns the size in bytes of the used part of the filter. */
static inline size_t
filter_size(const struct filter *f)
{
	return offsetof(struct filter, insns) + f->n * sizeof(f->insns[0]);
}
