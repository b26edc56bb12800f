/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Injects failures into system calls of the agent: the k-th of one kind fails once, whichever
 * process makes it (supervisor, agent, worker, or a container's process before its execve). Works
 * with any build of the agent: a seccomp filter with a listener stops the calls, and a helper
 * process lets them continue or answers them. Needs root and Linux 5.14.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FAULT_CALLS_MAX 8

/* The kind that the sanitizers do not survive, because their own allocations fail. */
#define FAULT_MEMORY "memory: none left"

/* Calls that fail in the same way, and the error. */
struct fault_kind {
	const char *name;
	int errnum;
	/* __NR_*, the rest is 0 */
	int calls[FAULT_CALLS_MAX];
};

extern const struct fault_kind fault_kinds[];
extern const size_t n_fault_kinds;

struct faults;

/* The failed call. */
struct fault_hit {
	int call;
	pid_t pid;
	/* its name */
	char process[32];
};

/* Allocates the state. Returns NULL and sets errno if out of memory. */
struct faults *faults_new(void);

/* faults_install: called in the child that becomes the agent, before its execve; exits on
 * failure. faults_listen: called in its parent. */
void faults_install(struct faults *f);
int faults_listen(struct faults *f, pid_t child);

/* Starts counting; the k-th call of the kind fails (0: none). */
void faults_arm(struct faults *f, size_t kind, uint64_t k);

/* Stops the injection. Returns whether a call has failed, and which. */
bool faults_disarm(struct faults *f, struct fault_hit *hit);

/* Returns the number of calls of a kind while it was armed. */
uint64_t faults_seen(const struct faults *f, size_t kind);
