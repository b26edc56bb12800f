/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the steps from the VM's start to its end, on the host and in the guest. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TIMELINE_STAGES_MAX 32

/* Monotonic nanoseconds of the host, 0: did not happen. */
struct timeline {
	uint64_t vm, agent, sandbox, created, started, first_byte, exited, stopped;
	/* Boot stages that the guest reports in its log records. */
	struct {
		char name[48];
		double ms;
	} stages[TIMELINE_STAGES_MAX];
	size_t n_stages;
};

/* Reads the boot stages and timestamps from the log records on the console (guest-set-up,
 * agent-ready and first-check of docs/log-events.md). A missing file is not an error. May block. */
void timeline_read_console(struct timeline *t, const char *console);

/* Prints the table on stderr. */
void timeline_print(const struct timeline *t);
