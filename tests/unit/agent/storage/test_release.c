/* SPDX-License-Identifier: Apache-2.0 */
/* Giving storages back: while they are mounted, being mounted, being unmounted; and the end of
 * the sandbox. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/storage/bench.h"

/* Number of calls that fail: no worker can be started without a socket. */
static unsigned int refusals;

/* Takes the place of the C library's. */
int
socketpair(int domain, int type, int protocol, int fds[2])
{
	if (refusals > 0) {
		refusals--;
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_socketpair, domain, type, protocol, fds);
}

/* In memory that workers share: number of unmounts that fail, and of all since it was set. */
static struct {
	unsigned int failing, n;
} * unmounts;

/* Takes the place of the C library's. */
int
umount2(const char *target, int flags)
{
	if (unmounts) {
		unmounts->n++;
		if (unmounts->failing > 0) {
			unmounts->failing--;
			errno = EIO;
			return -1;
		}
	}
	return (int)syscall(SYS_umount2, target, flags);
}

static void
fail_unmounts(unsigned int n)
{
	unmounts = mmap(NULL, sizeof(*unmounts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	REQUIRE((void *)unmounts != MAP_FAILED);
	unmounts->failing = n;
}

static void
start_release(struct bench *b, const char *owner, struct result *r)
{
	*r = (struct result){ 0 };
	REQUIRE_OK(storages_release_owner(b->t, owner, on_done, r, &r->err), &r->err);
	REQUIRE(!r->ended);
}

AGENT_TEST(storage_release, who_comes_during_an_unmount_gets_a_new_mount)
{
	struct result out, in;
	struct storage_spec s;

	mount_gate(b, "one", "v");
	put_file(b, "v/old");
	s = gate(b, "v");
	/* in use: the unmount takes a while */
	int busy = open(at(b, "v"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	REQUIRE_GE(busy, 0);
	start_release(b, "one", &out);
	submit(b, "two", &s, 1, &in);
	REQUIRE_OK(loop_run_once(b->loop, 0, &in.err), &in.err);
	REQUIRE(!in.ended);
	REQUIRE_EQ(storages_count(b->t), 1);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	close(busy);
	UNTIL(b, out.ended);
	UNTIL(b, exists(b, "v"));
	open_gate(b, "v", 'o');
	UNTIL(b, in.ended);
	REQUIRE_EQ(out.err.code, ERROR_OK);
	REQUIRE_EQ(in.err.code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE(!exists(b, "v/old"));
	REQUIRE_EQ(release(b, "two").code, ERROR_OK);
}

AGENT_TEST(storage_release, one_that_stays_busy_is_detached)
{
	struct result out, in;
	struct storage_spec s;

	mount_gate(b, "one", "v");
	s = gate(b, "v");
	int busy = open(at(b, "v"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	REQUIRE_GE(busy, 0);
	start_release(b, "one", &out);
	submit(b, "two", &s, 1, &in);
	REQUIRE_OK(loop_run_once(b->loop, 0, &in.err), &in.err);
	storages_abort(in.request, NULL, NULL);
	/* busy for good: detached in the end */
	UNTIL(b, out.ended);
	REQUIRE_EQ(out.err.code, ERROR_OK);
	REQUIRE(!in.ended);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "v"));
	close(busy);
}

AGENT_TEST(storage_release, an_unmount_that_fails_is_begun_again)
{
	struct result out;

	mount_gate(b, "one", "v");
	fail_unmounts(3);
	start_release(b, "one", &out);
	UNTIL(b, out.ended);
	REQUIRE_EQ(out.err.code, ERROR_OK, "%s", out.err.msg);
	REQUIRE_EQ(unmounts->n, 4);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "v"));
}

AGENT_TEST(storage_release, an_unmount_that_keeps_failing_is_reported)
{
	struct result out;

	mount_gate(b, "one", "v");
	fail_unmounts(100);
	start_release(b, "one", &out);
	UNTIL(b, out.ended);
	REQUIRE(strstr(out.err.msg, "failed to unmount storage"), "%s", out.err.msg);
	REQUIRE_EQ(unmounts->n, 4);
	REQUIRE_EQ(storages_count(b->t), 0);
	unmounts->failing = 0;
	REQUIRE_EQ(umount2(at(b, "v"), MNT_DETACH), 0);
	REQUIRE_EQ(rmdir(at(b, "v")), 0);
}

AGENT_TEST(storage_release, a_mount_in_its_course_is_cancelled_and_waited_for)
{
	struct result in, out;

	begin_gate(b, "one", "v", &in);
	start_release(b, "one", &out);
	UNTIL(b, out.ended);
	/* the release has waited for the end of it all */
	REQUIRE_EQ(out.err.code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "v"));
	UNTIL(b, in.ended);
	REQUIRE_EQ(in.err.code, ERROR_ABORTED);
}

AGENT_TEST(storage_release, the_end_of_the_sandbox_takes_everything)
{
	struct result in, out;
	struct storage_spec s[3];

	/* storages of a container that could not be removed, of the sandbox, and one whose mount
	 * was just cancelled */
	mount_gate(b, "one", "a");
	s[0] = memory(b, "mem");
	REQUIRE_EQ(acquire(b, "", s, 1).code, ERROR_OK);
	make_gate(b, "c");
	s[1] = gate(b, "c");
	submit(b, "two", &s[1], 1, &in);
	UNTIL(b, exists(b, "c"));
	storages_abort(in.request, NULL, NULL);
	/* and one that is asked for at the same time */
	make_gate(b, "d");
	s[2] = gate(b, "d");
	submit(b, "three", &s[2], 1, &in);
	UNTIL(b, exists(b, "d"));
	start_release(b, "", &out);
	UNTIL(b, out.ended);
	REQUIRE_EQ(out.err.code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "a") && !exists(b, "mem") && !exists(b, "c") && !exists(b, "d"));
	UNTIL(b, in.ended);
	REQUIRE_EQ(in.err.code, ERROR_ABORTED);
}

AGENT_TEST(storage_release, a_volume_of_the_pod_outlives_its_containers)
{
	struct storage_spec s[2], shared;

	s[0] = memory(b, "mem");
	s[1] = memory(b, "dir");
	s[1].driver = "local";
	s[1].fstype = "local";
	mount_gate(b, "unused", "x");
	REQUIRE_EQ(release(b, "unused").code, ERROR_OK);
	REQUIRE_EQ(acquire(b, "one", s, 2).code, ERROR_OK);
	put_file(b, "mem/kept");
	put_file(b, "dir/kept");
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE(exists(b, "mem/kept") && exists(b, "dir/kept"));
	/* the container that takes its place finds them */
	REQUIRE_EQ(acquire(b, "one", s, 2).code, ERROR_OK);
	REQUIRE(exists(b, "mem/kept"));
	REQUIRE(exists(b, "dir/kept"));
	REQUIRE_EQ(mounts_at(b, "mem"), 1);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);

	/* so does what the host calls shared, whatever its driver */
	shared = memory(b, "bound");
	shared.driver = "bind";
	shared.source = at(b, "dir");
	shared.shared = true;
	REQUIRE_EQ(acquire(b, "one", &shared, 1).code, ERROR_OK);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE(exists(b, "bound/kept"));

	REQUIRE_EQ(unlink(at(b, "dir/kept")), 0);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "mem"));
	REQUIRE(!exists(b, "dir"));
	REQUIRE(!exists(b, "bound"));
}

/* A volume shared by two owners is kept once one of them is committed. A volume with only failed
 * owners is unmounted. */
AGENT_TEST(storage_release, a_volume_of_the_pod_that_only_failures_had_goes)
{
	struct storage_spec s[2];
	struct result r;

	s[0] = memory(b, "mem");
	s[1] = memory(b, "bad");
	s[1].fstype = "nosuchfs";
	REQUIRE_NE(acquire(b, "one", s, 2).code, ERROR_OK);
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(!exists(b, "mem"));
	/* mounted, but then its owner fails */
	submit(b, "one", s, 1, &r);
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "mem"));
	submit(b, "one", s, 1, &r);
	UNTIL(b, r.ended);
	REQUIRE_EQ(acquire(b, "two", s, 1).code, ERROR_OK);
	REQUIRE_EQ(release(b, "two").code, ERROR_OK);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 1);
	REQUIRE_EQ(mounts_at(b, "mem"), 1);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 0);
}

/* A caller may retry as soon as a failure is reported, and finds nothing left of the first
 * attempt. */
AGENT_TEST(storage_release, a_failure_is_told_when_all_that_was_mounted_is_gone)
{
	struct storage_spec s[2];
	struct result r, gone = { 0 };

	s[0] = memory(b, "mem");
	s[1] = memory(b, "bad");
	s[1].fstype = "nosuchfs";
	submit(b, "one", s, 2, &r);
	UNTIL(b, r.ended);
	REQUIRE_NE(r.err.code, ERROR_OK);
	REQUIRE_HAS(r.err.msg, "nosuchfs");
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE_EQ(mounts_added(b), 0);
	REQUIRE(!exists(b, "mem"));
	/* one that is cancelled, too */
	make_gate(b, "v");
	s[1] = gate(b, "v");
	submit(b, "one", s, 2, &r);
	UNTIL(b, exists(b, "v"));
	storages_abort(r.request, on_done, &gone);
	REQUIRE(!gone.ended);
	UNTIL(b, gone.ended);
	REQUIRE(!r.ended);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE_EQ(mounts_added(b), 0);
	REQUIRE(!exists(b, "mem") && !exists(b, "v"));
}

AGENT_TEST(storage_release, the_table_may_be_freed_at_any_time)
{
	struct result in, late, out;
	struct storage_spec s[2];

	make_gate(b, "v");
	s[0] = gate(b, "v");
	s[1] = memory(b, "w");
	submit(b, "one", s, 1, &in);
	UNTIL(b, exists(b, "v"));
	submit(b, "two", s, 2, &late);
	start_release(b, "one", &out);
	/* the agent ends in the midst of it: no callback, no leak; its workers are killed */
	jobs_free(b->jobs);
	storages_free(b->t);
	REQUIRE(!in.ended && !late.ended && !out.ended);
	(void)rmdir(at(b, "v"));
	(void)unlink(at(b, "v.gate"));
	(void)rmdir(b->dir);
	device_watch_free(b->devices);
	initlink_free(b->link);
	loop_free(b->loop);
	b->is_released = true;
}

/* Three storages, each on the one before. The unmount of the last one is tried 51 times. */
AGENT_TEST(storage_release, unmounts_that_wait_for_one_that_cannot_begin)
{
	struct storage_spec s[3];
	struct result out;

	s[0] = memory(b, "a");
	s[1] = memory(b, "a/b");
	s[2] = memory(b, "a/b/c");
	REQUIRE_EQ(acquire(b, "one", s, 3).code, ERROR_OK);
	REQUIRE_EQ(mounts_added(b), 3);
	refusals = 51;
	start_release(b, "", &out);
	UNTIL(b, out.ended);
	REQUIRE_EQ(refusals, 0);
	REQUIRE_EQ(out.err.code, ERROR_RESOURCE_EXHAUSTED);
	REQUIRE_EQ(mounts_added(b), 0);
	/* The storage that was never unmounted is still in the table. */
	REQUIRE_EQ(storages_count(b->t), 1);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
}
