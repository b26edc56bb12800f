/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A separate process that calls Check continuously on its own connection and records the times
 * while a test works the agent. For the tests of this directory only.
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
	/* UINT32_MAX: a call failed, or there was none */
	uint32_t p99_us;
	/* share of the time for which the agent waited for a processor */
	unsigned int waited_percent;
};

/* Starts the process and returns after its first successful Check; exits with a message on
 * failure. */
void probe_start(struct probe *p, const struct harness *h);

/* Stops the process, prints the results and stores them. */
void probe_stop(struct probe *p, const char *what);
