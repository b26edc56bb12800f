/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spec's seccomp profile as a BPF program (seccomp(2)). Names of system calls and architectures are
 * libseccomp's. The program is generated here: libseccomp needs 20 to 40 ms for the usual profile of three
 * architectures, more than all the rest of a container's start together.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* The kernel takes no more (BPF_MAXINSNS). */
#define FILTER_MAX 4096

struct filter {
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
	uint32_t n;     /* 0: no filter */
	struct sock_filter insns[FILTER_MAX];
};

/* Known actions, operators, architectures, flags; argument indexes. INVALID_ARGUMENT naming the field. Pure. */
int filter_validate(const Grpc__LinuxSeccomp *profile, struct error *err);

/* Compiles. System calls that libseccomp does not know are left out, as are rules that repeat the default. Unless the default
 * lets calls through, those above the highest number that the profile names get ENOSYS, for each ABI.
 * Several conditions on one argument are alternatives, on different ones all must hold. */
int filter_compile(const Grpc__LinuxSeccomp *profile, struct filter *out, struct error *err);

/* Puts it in force for the caller, who needs no_new_privs or CAP_SYS_ADMIN. 0, or -1 and errno. */
int filter_load(const struct filter *filter);

/* Returns whether a process under the filter lives on after this system call of the machine's own architecture, with
 * arguments of 0, and is not handed to a tracer or a listener. Pure. */
bool filter_survives(const struct filter *filter, long number);

/* Returns whether the filter lets the call be made with these arguments, the others being 0. Pure. */
bool filter_allows(const struct filter *filter, long number, const uint64_t args[2]);

/* Bytes of a filter that are in use, for sending it. */
static inline size_t
filter_size(const struct filter *f)
{
	return offsetof(struct filter, insns) + f->n * sizeof(f->insns[0]);
}
