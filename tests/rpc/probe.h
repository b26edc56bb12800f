/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of its own that calls Check again and again on its own connection and keeps the times, while
 * a test does to the agent what it likes. For the tests of this directory only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct harness;
struct probe_shared;

struct probe {
	const struct harness *h;
	pid_t pid;
	struct probe_shared *shared;
	uint64_t start_ns, waited_ns;
	/* after probe_stop() */
	uint32_t p99_us;             /* UINT32_MAX: a call failed, or there was none */
	unsigned int waited_percent; /* of the time the agent waited for a processor */
};

/* Returns when the first Check has been answered; dies with a message if it cannot be. */
void probe_start(struct probe *p, const struct harness *h);

/* Prints what was measured, and keeps the figures. */
void probe_stop(struct probe *p, const char *what);

/* Is p99 below the limit, or the agent to blame for it? An agent that others keep from running is not slow. */
bool probe_is_judged(const struct probe *p, uint32_t limit_us);
