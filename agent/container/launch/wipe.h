/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker is a copy of the agent, with what other containers' requests have left in its memory. This removes it from a
 * process that a container may be able to look into.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define WIPE_RANGES_MAX 256

/* Memory of the agent that a fork has a copy of: everything that is allocated. And what it shares with its workers, in which
 * a fork could even write: orders and data of copies, for example. */
struct wipe {
	struct {
		uintptr_t start, end;
		bool is_shared; /* with the agent and other workers */
	} range[WIPE_RANGES_MAX];
	size_t n;
	uintptr_t stack; /* the lowest address of the stack */
};

/* Lists the memory that the caller has now. 0, or -1 and err. */
int wipe_plan(int proc_fd, struct wipe *plan, struct error *err);

/* Empties all of it in the caller, a fork of the one that made the plan: nothing that was allocated is there any more,
 * and nothing may be allocated or freed afterwards. What lies on the stack above the caller's frame stays. Does nothing
 * under the address sanitizer. */
void wipe_apply(const struct wipe *plan);
