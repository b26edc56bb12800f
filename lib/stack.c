/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the stack that a process no longer uses. */
#include "lib/stack.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* More than agent and init have used when they begin to wait for events. */
#define DEPTH_MAX (256u << 10)

/* A separate frame, so that the address is below that of the caller. */
__attribute__((noinline)) void
stack_release(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	/* One page is left to this function and madvise(2). */
	uintptr_t end = (here & ~(page - 1)) - page;
	int saved = errno;

	/* The end of the stack is not known. ENOMEM: some of the range is not mapped; the rest is
	 * released. */
	(void)madvise((void *)(end - DEPTH_MAX), DEPTH_MAX, MADV_DONTNEED);
	errno = saved;
}
