/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the stack that deeper calls have used. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/stack.h"
#include "tests/support/check.h"

#define DEEP 65536

static uintptr_t g_deep;

/* Uses a deep frame and keeps the address of a page in its middle. */
__attribute__((noinline, no_sanitize_address)) static void
go_deep(void)
{
	volatile unsigned char frame[DEEP];

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = 1;
	g_deep = (uintptr_t)&frame[DEEP / 2] & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
}

/* Reports whether the kernel has a page at g_deep. */
static int
is_resident(void)
{
	unsigned char state = 0;

	CHECK_EQ(mincore((void *)g_deep, 1, &state), 0);
	return state & 1;
}

Test(stack, unused_pages_are_released)
{
	char ours[512];

	memset(ours, 'x', sizeof(ours));
	go_deep();
	CHECK_EQ(is_resident(), 1);
	errno = EXDEV;
	stack_release();
	CHECK_EQ(errno, EXDEV);
	CHECK_EQ(is_resident(), 0);
	for (size_t i = 0; i < sizeof(ours); i++)
		CHECK_EQ(ours[i], 'x');
	/* and they can be used again */
	go_deep();
	CHECK_EQ(is_resident(), 1);
}
