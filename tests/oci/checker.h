/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A separate process that calls Check continuously on its own connection while a case works the
 * agent, and records the slowest call. Time in which a process of the VM ($VM_PIDS) waited for a
 * processor of this machine is subtracted.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct oci;
struct checker_shared;

struct checker {
	pid_t pid;
	struct checker_shared *shared;
	/* valid after checker_stop() */
	unsigned int n, failures;
	/* slowest_own_us: without the time spent waiting for this machine's processors */
	uint32_t slowest_us, slowest_own_us;
};

/* Starts the process and returns after its first successful Check. */
void checker_start(struct checker *c, struct oci *t);

/* Waits until a call that began later than this one is answered, or has failed. */
void checker_await(const struct checker *c);

/* Stops the process and prints the result. */
void checker_stop(struct checker *c, const char *what);
