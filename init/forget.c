/* SPDX-License-Identifier: Apache-2.0 */
#include "init/forget.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The marks around the descriptors (scripts/order.ld); NULL in a program that is linked without. */
extern const char messages_begin[] __attribute__((weak));
extern const char messages_end[] __attribute__((weak));

void
forget_messages(void)
{
	forget_range(messages_begin, messages_end);
}

void
forget_range(const char *begin, const char *end)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)begin + page - 1) & ~(page - 1);
	uintptr_t to = (uintptr_t)end & ~(page - 1);

	/* If it fails, the memory is not saved. */
	if (from < to)
		(void)mmap((void *)from, to - from, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}
