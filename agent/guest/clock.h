/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's wall clock: set when the host says so, and kept right against the host's own where the hypervisor shows that
 * as a PTP device (ptp_kvm). Loop side: never blocks. What times out uses CLOCK_MONOTONIC and never notices.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"

/* Sets CLOCK_REALTIME (clock_settime(2)). INVALID_ARGUMENT for a time that is none, or before 1970. */
int clock_set(int64_t sec, int64_t usec, struct error *err);

/* ---- kept right ---- */

struct clock_keeper;

/* Looks for the hypervisor's clock and, if there is one, compares with it at once and then every minute. NULL without an
 * error: there is none. */
struct clock_keeper *clock_keeper_new(struct loop *loop, const struct roots *roots,
				      struct error *err);
void clock_keeper_free(struct clock_keeper *k);

/* ---- parts, for tests ---- */

/* From this far off the clock is set; below, it is only made to run a little faster or slower, so that it never goes back. */
#define CLOCK_STEP_NS 100000000ll

enum clock_action {
	CLOCK_FINE, /* nearer than can be measured */
	CLOCK_SLEW,
	CLOCK_STEP,
};
enum clock_action clock_action(int64_t offset_ns);

/* "ptp<N>" of a clock that a hypervisor provides, by its name in sysfs. false: there is none. */
bool clock_find_ptp(int sys, char *name, uint32_t size);

/* Readings of one comparison, in nanoseconds: ours, the other's, ours, the other's, ... ours (PTP_SYS_OFFSET). How far we
 * are behind, by the pair of ours that are nearest to each other. n: of the other's. */
int64_t clock_offset(const int64_t *readings, unsigned int n);
