/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls of the agent that fail on purpose: the k-th of one kind fails once, whichever process makes it (supervisor,
 * agent, worker, or a container's process before its execve). Works with any build of the agent: a seccomp filter with a listener
 * stops the calls, and a process of ours lets them go on or answers in the kernel's stead. Needs root and Linux 5.14.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FAULT_CALLS_MAX 8

/* The kind that the sanitizers do not survive: their own memory fails. */
#define FAULT_MEMORY "memory: none left"

/* Calls that fail alike, and how. */
struct fault_kind {
	const char *name;
	int errnum;
	int calls[FAULT_CALLS_MAX]; /* __NR_*, the rest is 0 */
};

extern const struct fault_kind fault_kinds[];
extern const size_t n_fault_kinds;

struct faults;

/* The call that failed. */
struct fault_hit {
	int call;
	pid_t pid;
	char process[32]; /* its name */
};

/* NULL and errno when memory is out. */
struct faults *faults_new(void);

/* In the child that becomes the agent, before its execve; ends the child when it cannot be. Then in its parent. */
void faults_install(struct faults *f);
int faults_listen(struct faults *f, pid_t child);

/* Counts from now on; the k-th of the kind fails (0: none does). */
void faults_arm(struct faults *f, size_t kind, uint64_t k);

/* No more. True if one has failed, and which. */
bool faults_disarm(struct faults *f, struct fault_hit *hit);

/* How many of a kind there were while it was armed. */
uint64_t faults_seen(const struct faults *f, size_t kind);
