/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that are killed while they unmount: others take their place. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/path.h"
#include "lib/unmount.h"
#include "tests/support/check.h"
#include "tests/unit/agent/storage/bench.h"

/* Workers that are still to die; shared with them. The second number: after they have removed
 * something. */
static volatile int *deaths;

/* Takes the place of the C library's. */
int
unlinkat(int dir, const char *name, int flags)
{
	int r = (int)syscall(SYS_unlinkat, dir, name, flags);

	if (r == 0 && deaths && deaths[1] > 0) {
		--deaths[1];
		(void)raise(SIGKILL);
	}
	return r;
}

/* Takes the place of the library's. */
int
unmount_upon(int point, int id, int flags)
{
	char path[64];

	/* the mounting worker detaches its own mount by this, too */
	if (id > 0 && *deaths > 0) {
		--*deaths;
		(void)raise(SIGKILL);
	}
	return umount2(path_of_fd(point, path), flags) < 0 && errno != EINVAL ? -1 : 0;
}

static void
share_deaths(int n)
{
	void *memory = mmap(NULL, 2 * sizeof(*deaths), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(memory != MAP_FAILED);
	deaths = memory;
	*deaths = n;
}

AGENT_TEST(storage_again, an_unmount_whose_worker_is_killed_is_run_again)
{
	share_deaths(5);
	mount_gate(b, "one", "v");
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(*deaths, 0);
	REQUIRE_EQ(mounts_added(b), 0);
	REQUIRE(!exists(b, "v"));
}

AGENT_TEST(storage_again, an_undo_whose_worker_is_killed_is_run_again)
{
	struct result r;

	share_deaths(5);
	begin_gate(b, "one", "v", &r);
	open_gate(b, "v", 'u');
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_UNAVAILABLE);
	REQUIRE_EQ(*deaths, 0);
	REQUIRE_EQ(mounts_added(b), 0);
	REQUIRE(!exists(b, "v"));
}

AGENT_TEST(storage_again, directories_are_removed_by_the_next_worker)
{
	struct storage_spec spec = gate(b, "v");
	struct result r;

	share_deaths(0);
	spec.mount_point = at(b, "d/v");
	make_gate(b, "v");
	submit(b, "one", &spec, 1, &r);
	UNTIL(b, exists(b, "d/v"));
	open_gate(b, "v", 'o');
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	deaths[1] = 1;
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(deaths[1], 0);
	REQUIRE_EQ(mounts_added(b), 0);
	REQUIRE(!exists(b, "d"));
}

/* The number of attempts is limited. */
AGENT_TEST(storage_again, workers_that_are_always_killed_are_given_up)
{
	share_deaths(1000);
	mount_gate(b, "one", "v");
	REQUIRE_NE(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE_EQ(mounts_added(b), 1);
	REQUIRE_EQ(umount2(at(b, "v"), MNT_DETACH), 0);
	REQUIRE_EQ(rmdir(at(b, "v")), 0);
}
