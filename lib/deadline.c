/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines on CLOCK_MONOTONIC. */
#include "lib/deadline.h"

#include <limits.h>

uint64_t
monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
deadline_after(uint64_t ns, uint64_t ms)
{
	return ms > (DEADLINE_NEVER - ns) / NS_PER_MS ? DEADLINE_NEVER : ns + ms * NS_PER_MS;
}

uint64_t
deadline_in(uint64_t ms)
{
	return deadline_after(monotonic_ns(), ms);
}

uint64_t
deadline_of_timeout(int timeout_ms)
{
	return timeout_ms < 0 ? DEADLINE_NEVER : deadline_in((uint64_t)timeout_ms);
}

/* Returns the nanoseconds that are left, 0 when it is over. */
static uint64_t
deadline_left_ns(uint64_t deadline)
{
	uint64_t now = monotonic_ns();

	return now >= deadline ? 0 : deadline - now;
}

bool
deadline_is_over(uint64_t deadline)
{
	return deadline_left_ns(deadline) == 0;
}

int
deadline_left_ms(uint64_t deadline)
{
	uint64_t left = deadline_left_ns(deadline), ms;

	if (deadline == DEADLINE_NEVER)
		return -1;
	ms = left / NS_PER_MS + (left % NS_PER_MS != 0);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

struct timespec
deadline_left(uint64_t deadline)
{
	uint64_t left = deadline_left_ns(deadline);

	return (struct timespec){
		.tv_sec = (time_t)(left / NS_PER_S),
		.tv_nsec = (long)(left % NS_PER_S),
	};
}
