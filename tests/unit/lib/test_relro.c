/* SPDX-License-Identifier: Apache-2.0 */
/* Constants that were relocated. In a static program (tests/cross) they are writable before. */
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/relro.h"
#include "tests/support/check.h"

static const char *const table[] = { "a", "b", "c" };
static const char *variable[] = { "a", "b", "c" };

/* Lets the kernel write to an address, and returns errno of that, or 0. */
static int
write_to(const void *at)
{
	int fds[2], found;

	REQUIRE_EQ(pipe(fds), 0);
	REQUIRE_EQ(write(fds[1], at, sizeof(void *)), sizeof(void *));
	found = read(fds[0], (void *)(uintptr_t)at, sizeof(void *)) < 0 ? errno : 0;
	(void)close(fds[0]);
	(void)close(fds[1]);
	return found;
}

Test(relro, relocated_constants_are_read_only)
{
	relro_protect();
	CHECK_EQ(write_to(&table[1]), EFAULT);
	CHECK_EQ(write_to(&variable[1]), 0);
	CHECK_STR(table[1], "b");
	CHECK_STR(variable[1], "b");
}
