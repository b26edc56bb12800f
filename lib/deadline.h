/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines: times of CLOCK_MONOTONIC in nanoseconds, as monotonic_ns() returns them. Arithmetic on
 * them saturates at DEADLINE_NEVER, so that a long timeout never becomes a short one.
 * Async-signal-safe; never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* A deadline that never passes. */
#define DEADLINE_NEVER UINT64_MAX

/* Returns the time of CLOCK_MONOTONIC in nanoseconds. */
uint64_t monotonic_ns(void);

/* Returns the deadline `ms` milliseconds after the time `ns`. */
uint64_t deadline_after(uint64_t ns, uint64_t ms);

/* Returns the deadline `ms` milliseconds from now. */
uint64_t deadline_in(uint64_t ms);

/* Returns the deadline of a timeout as poll(2) takes it: a negative one is DEADLINE_NEVER. */
uint64_t deadline_of_timeout(int timeout_ms);

/* Returns whether the deadline has passed. */
bool deadline_is_over(uint64_t deadline);

/* Returns the remaining milliseconds, rounded up, as poll(2) and epoll_wait(2) take them: 0 if the
 * deadline has passed, -1 for DEADLINE_NEVER. */
int deadline_left_ms(uint64_t deadline);

/* Returns the remaining time as sigtimedwait(2) and nanosleep(2) take it; 0 if the deadline has
 * passed. */
struct timespec deadline_left(uint64_t deadline);
