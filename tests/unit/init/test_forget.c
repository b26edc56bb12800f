/* SPDX-License-Identifier: Apache-2.0 */
/* Pages that are given back. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "init/forget.h"
#include "tests/support/check.h"

#define PAGES 4

/* Reports whether the kernel can read a byte. */
static bool
is_readable(const char *at)
{
	int fds[2];
	bool is_read;

	REQUIRE_EQ(pipe(fds), 0);
	is_read = write(fds[1], at, 1) == 1;
	if (!is_read)
		CHECK_EQ(errno, EFAULT);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return is_read;
}

Test(forget, only_whole_pages_become_inaccessible)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *map = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	REQUIRE_NE(map, MAP_FAILED);
	memset(map, 'x', PAGES * page);
	/* neither a range that is empty, nor one without a whole page, nor none at all */
	forget_range(NULL, NULL);
	forget_range(map + page, map + page);
	forget_range(map + 1, map + 2 * page - 1);
	for (size_t i = 0; i < PAGES; i++)
		CHECK(is_readable(map + i * page));
	forget_range(map + 1, map + PAGES * page - 1);
	CHECK(is_readable(map + page - 1));
	CHECK(!is_readable(map + page));
	CHECK(!is_readable(map + (PAGES - 1) * page - 1));
	CHECK(is_readable(map + (PAGES - 1) * page));
	CHECK_EQ(map[page - 1], 'x');
	CHECK_EQ(map[(PAGES - 1) * page], 'x');
}
