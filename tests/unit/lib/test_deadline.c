/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic on deadlines. Nothing here depends on how fast the machine is. */
#include <limits.h>
#include <time.h>

#include <criterion/criterion.h>

#include "lib/deadline.h"
#include "tests/support/check.h"

#define HOUR_MS UINT64_C(3600000)

Test(deadline, saturates)
{
	CHECK_EQ(deadline_after(5, 2), 5 + 2 * NS_PER_MS);
	CHECK_EQ(deadline_after(5, UINT64_MAX), DEADLINE_NEVER);
	CHECK_EQ(deadline_after(UINT64_MAX - NS_PER_MS, 1), DEADLINE_NEVER);
	CHECK_EQ(deadline_after(UINT64_MAX - NS_PER_MS - 1, 1), DEADLINE_NEVER - 1);
	CHECK_EQ(deadline_after(DEADLINE_NEVER, 1), DEADLINE_NEVER);
	CHECK_EQ(deadline_in(UINT64_MAX), DEADLINE_NEVER);
}

Test(deadline, timeouts_are_those_of_poll)
{
	CHECK_EQ(deadline_of_timeout(-1), DEADLINE_NEVER);
	CHECK_EQ(deadline_left_ms(DEADLINE_NEVER), -1);
	CHECK(!deadline_is_over(DEADLINE_NEVER));
	CHECK_EQ(deadline_left_ms(deadline_of_timeout(0)), 0);
	CHECK(deadline_is_over(deadline_of_timeout(0)));
	/* more than an int of milliseconds */
	CHECK_EQ(deadline_left_ms(deadline_in(HOUR_MS * 1000)), INT_MAX);
}

Test(deadline, what_is_left_is_rounded_up)
{
	uint64_t now = monotonic_ns();
	struct timespec left;
	int ms = deadline_left_ms(deadline_after(now, HOUR_MS));

	CHECK(ms > 0 && (uint64_t)ms <= HOUR_MS);
	CHECK_EQ(deadline_left_ms(now), 0);
	/* An hour and half a millisecond, part of which may have passed; the result is rounded
	 * up. */
	ms = deadline_left_ms(deadline_after(now, HOUR_MS) + NS_PER_MS / 2);
	CHECK_GE(now + (uint64_t)ms * NS_PER_MS + (monotonic_ns() - now),
		 deadline_after(now, HOUR_MS) + NS_PER_MS / 2);
	left = deadline_left(deadline_after(now, HOUR_MS));
	CHECK(left.tv_sec <= 3600 && left.tv_sec > 0 && left.tv_nsec >= 0 &&
	      left.tv_nsec < (long)NS_PER_S);
	left = deadline_left(now);
	CHECK(left.tv_sec == 0 && left.tv_nsec == 0);
	left = deadline_left(DEADLINE_NEVER);
	CHECK(left.tv_sec > 0 && left.tv_nsec >= 0 && left.tv_nsec < (long)NS_PER_S);
}
