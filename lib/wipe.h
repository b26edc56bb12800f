/* SPDX-License-Identifier: Apache-2.0 */
/* Clearing of the memory that a worker has inherited from the agent, with data of other containers'
 * requests, in a process that a container may be able to trace.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define WIPE_RANGES_MAX 256

/* The memory to clear: allocated memory, of which a fork has a copy, and memory that the agent
 * shares with its workers, which a fork could even modify. */
struct wipe {
	struct {
		uintptr_t start, end;
		/* Shared with the agent and other workers. */
		bool is_shared;
	} range[WIPE_RANGES_MAX];
	size_t n;
	/* The lowest address of the stack. */
	uintptr_t stack;
};

/* Lists the current memory of the caller. Returns 0, or -1 and err. May block. */
int wipe_plan(int proc_fd, struct wipe *plan, struct error *err);

/* Clears the memory in the caller, a fork of the process that made the plan. All allocations are
 * lost, and nothing may be allocated or freed afterwards. The stack above the caller's frame is
 * kept. Does nothing under the address sanitizer. */
void wipe_apply(const struct wipe *plan);
