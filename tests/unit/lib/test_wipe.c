/* SPDX-License-Identifier: Apache-2.0 */
/* Wiping of scattered memory. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/wipe.h"
#include "tests/support/check.h"

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

	REQUIRE(memory != MAP_FAILED && proc >= 0);
	for (size_t i = 0; i < ISLANDS; i++)
		REQUIRE_EQ(munmap(memory + (2 * i + 1) * page, page), 0);
	REQUIRE_OK(wipe_plan(proc, &plan, &err), &err);
	for (size_t i = 0; i < ISLANDS; i++)
		REQUIRE_GE(find(&plan, memory + 2 * i * page), 0, "piece %zu", i);
	REQUIRE_EQ(find(&plan, variable), -1);
	/* not &plan: that may lie in memory of the sanitizer's */
	REQUIRE_EQ(find(&plan, __builtin_frame_address(0)), -1);
	close(proc);
}

/* As copiers have it: every worker that is forked meanwhile has it, too. What is mapped after
 * the plan stays, also between. */
Test(wipe, shared_memory)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	/* Between pages without access: the kernel would join the last one with a neighbour, which
	 * may be the sanitizer's. */
	char *guarded =
		mmap(NULL, 6 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *memory = guarded + page;
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	struct wipe plan;
	int at[3];

	REQUIRE(guarded != MAP_FAILED && proc >= 0);
	REQUIRE_EQ(mprotect(guarded, page, PROT_NONE), 0);
	REQUIRE_EQ(mprotect(guarded + 5 * page, page, PROT_NONE), 0);
	REQUIRE_EQ(munmap(memory + page, page), 0);
	REQUIRE(mmap(memory + 3 * page, page, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	REQUIRE_OK(wipe_plan(proc, &plan, &err), &err);
	for (size_t i = 0; i < 3; i++)
		at[i] = find(&plan, memory + (i + (i > 0)) * page);
	REQUIRE(at[0] >= 0 && at[1] >= 0 && at[2] >= 0);
	REQUIRE(plan.range[at[0]].is_shared && plan.range[at[1]].is_shared);
	REQUIRE(!plan.range[at[2]].is_shared);
	REQUIRE_EQ(find(&plan, memory + page), -1);
	close(proc);
}
