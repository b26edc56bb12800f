/* SPDX-License-Identifier: Apache-2.0 */
/* Workers that are killed while they unmount: others take their place. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/path.h"
#include "lib/unmount.h"
#include "tests/unit/storage/bench.h"

/* Workers that are still to die; shared with them. */
static volatile int *deaths;

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
	void *memory = mmap(NULL, sizeof(*deaths), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED);
	deaths = memory;
	*deaths = n;
}

AGENT_TEST(storage_again, an_unmount_whose_worker_is_killed_is_run_again)
{
	share_deaths(5);
	mount_gate(b, "one", "v");
	CHECK(release(b, "one").code == ERROR_OK);
	CHECK(*deaths == 0 && mounts_added(b) == 0 && !exists(b, "v"));
}

AGENT_TEST(storage_again, an_undo_whose_worker_is_killed_is_run_again)
{
	struct result r;

	share_deaths(5);
	begin_gate(b, "one", "v", &r);
	open_gate(b, "v", 'u');
	UNTIL(b, r.ended);
	CHECK(r.err.code == ERROR_UNAVAILABLE);
	CHECK(*deaths == 0 && mounts_added(b) == 0 && !exists(b, "v"));
}

/* It ends some time: nobody waits for ever. */
AGENT_TEST(storage_again, workers_that_are_always_killed_are_given_up)
{
	share_deaths(1000);
	mount_gate(b, "one", "v");
	CHECK(release(b, "one").code != ERROR_OK);
	CHECK(storages_count(b->t) == 0 && mounts_added(b) == 1);
	CHECK(umount2(at(b, "v"), MNT_DETACH) == 0 && rmdir(at(b, "v")) == 0);
}
