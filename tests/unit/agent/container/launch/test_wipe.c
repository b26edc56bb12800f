/* SPDX-License-Identifier: Apache-2.0 */
/* Wiping of scattered memory. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/container/launch/wipe.h"

#define ISLANDS (2 * WIPE_RANGES_MAX)

/* The index of the piece with this address, -1: none. */
static int
find(const struct wipe *plan, const void *at)
{
	for (size_t i = 0; i < plan->n; i++) {
		if ((uintptr_t)at >= plan->range[i].start && (uintptr_t)at < plan->range[i].end)
			return (int)i;
	}
	return -1;
}

Test(wipe, memory_in_many_pieces)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * ISLANDS * page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	static char variable[64] = "the program's own";
	struct error err = ERROR_INIT;
	struct wipe plan;

	cr_assert(memory != MAP_FAILED && proc >= 0);
	for (size_t i = 0; i < ISLANDS; i++)
		cr_assert_eq(munmap(memory + (2 * i + 1) * page, page), 0);
	cr_assert_eq(wipe_plan(proc, &plan, &err), 0, "%s", err.msg);
	for (size_t i = 0; i < ISLANDS; i++)
		cr_assert(find(&plan, memory + 2 * i * page) >= 0, "piece %zu", i);
	cr_assert_eq(find(&plan, variable), -1);
	/* not &plan: that may lie in memory of the sanitizer's */
	cr_assert_eq(find(&plan, __builtin_frame_address(0)), -1);
	close(proc);
}

/* As copiers have it: every worker that is forked meanwhile has it, too. What is mapped after
 * the plan stays, also between. */
Test(wipe, shared_memory)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory =
		mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	struct wipe plan;
	int at[3];

	cr_assert(memory != MAP_FAILED && proc >= 0);
	cr_assert_eq(munmap(memory + page, page), 0);
	cr_assert(mmap(memory + 3 * page, page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	cr_assert_eq(wipe_plan(proc, &plan, &err), 0, "%s", err.msg);
	for (size_t i = 0; i < 3; i++)
		at[i] = find(&plan, memory + (i + (i > 0)) * page);
	cr_assert(at[0] >= 0 && at[1] >= 0 && at[2] >= 0);
	cr_assert(plan.range[at[0]].is_shared && plan.range[at[1]].is_shared);
	cr_assert(!plan.range[at[2]].is_shared);
	cr_assert_eq(find(&plan, memory + page), -1);
	close(proc);
}
