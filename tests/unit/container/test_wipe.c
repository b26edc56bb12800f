/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is to be wiped before others can see it, however it is scattered. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/container/wipe.h"

#define ISLANDS (2 * WIPE_RANGES_MAX)

static bool
is_in(const struct wipe *plan, uintptr_t at)
{
	for (size_t i = 0; i < plan->n; i++) {
		if (at >= plan->range[i].start && at < plan->range[i].end)
			return true;
	}
	return false;
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
		cr_assert(is_in(&plan, (uintptr_t)(memory + 2 * i * page)), "piece %zu", i);
	cr_assert(!is_in(&plan, (uintptr_t)variable));
	cr_assert(!is_in(&plan, (uintptr_t)&plan));
	close(proc);
}
