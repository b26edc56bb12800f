/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of its own that calls Check without pause on its own connection while a case does something to the agent,
 * and keeps how long the slowest took. Time in which a process of the VM ($VM_PIDS) waited for one of this machine's
 * processors is taken off.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct oci;
struct checker_shared;

struct checker {
	pid_t pid;
	struct checker_shared *shared;
	/* after checker_stop() */
	unsigned int n, failures;
	uint32_t slowest_us, slowest_own_us; /* the second without the machine's waiting */
};

/* Returns when the first Check has been answered. */
void checker_start(struct checker *c, struct oci *t);

/* Prints what was measured. */
void checker_stop(struct checker *c, const char *what);
