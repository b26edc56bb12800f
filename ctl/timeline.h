/* SPDX-License-Identifier: Apache-2.0 */
/* When things happened on the way from the VM's start to its end, on the host and in the guest. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define TIMELINE_STAGES_MAX 32

/* Monotonic nanoseconds of the host; 0: did not happen. */
struct timeline {
	uint64_t vm, agent, sandbox, created, started, first_byte, exited, stopped;
	/* What the guest says of its own boot: the stages in its log records. */
	struct {
		char name[48];
		double ms;
	} stages[TIMELINE_STAGES_MAX];
	size_t n_stages;
};

/* Takes the stages and stamps of the boot from the records on the console that are about it
 * (guest-set-up, agent-ready and first-check of docs/log-events.md). A missing file is no error.
 * Reads a file: may block. */
void timeline_read_console(struct timeline *t, const char *console);

/* The table, on stderr. */
void timeline_print(const struct timeline *t);
