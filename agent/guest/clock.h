/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's wall clock: set on request of the host, and synchronised with the host's clock if the
 * hypervisor provides that as a PTP device (ptp_kvm). Timeouts do not depend on it: they use
 * CLOCK_MONOTONIC. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"

/* Sets CLOCK_REALTIME (clock_settime(2)). Returns 0, or -1 and sets err: INVALID_ARGUMENT for an
 * invalid time or one before 1970. */
int clock_set(int64_t sec, int64_t usec, struct error *err);

/* ---- synchronisation ---- */

struct clock_keeper;

/* Looks for the hypervisor's clock and synchronises with it now and then every minute. Returns NULL
 * without an error if there is no such clock, or NULL and sets err. */
struct clock_keeper *clock_keeper_new(struct loop *loop, const struct roots *roots,
				      struct error *err);

/* Stops synchronising. NULL is allowed. */
void clock_keeper_free(struct clock_keeper *k);

/* ---- parts, for tests ---- */

/* The smallest offset for which the clock is stepped. Smaller ones are slewed, so that the clock
 * never goes back. */
#define CLOCK_STEP_NS 100000000ll

enum clock_action {
	/* below the accuracy of the comparison */
	CLOCK_FINE,
	CLOCK_SLEW,
	CLOCK_STEP,
};

/* Returns how to correct an offset. */
enum clock_action clock_action(int64_t offset_ns);

/* Finds the "ptp<N>" of a hypervisor's clock in sysfs. Returns false if there is none or name is
 * too short. */
bool clock_find_ptp(int sys, char *name, uint32_t size);

/* Returns by how many ns the guest's clock is behind. readings: guest, host, guest, host, ...,
 * guest (PTP_SYS_OFFSET), in ns, with n readings of the host's clock. The one between the closest
 * two readings of the guest's clock is used. */
int64_t clock_offset(const int64_t *readings, unsigned int n);
