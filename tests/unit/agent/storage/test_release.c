/* SPDX-License-Identifier: Apache-2.0 */
/* Giving storages back: while they are mounted, being mounted, being unmounted; and the end of
 * the sandbox. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/unit/agent/storage/bench.h"

static void
start_release(struct bench *b, const char *owner, struct result *r)
{
	*r = (struct result){ 0 };
	CHECK(storages_release_owner(b->t, owner, on_done, r, &r->err) == 0);
	CHECK(!r->ended);
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

	CHECK(busy >= 0);
	start_release(b, "one", &out);
	submit(b, "two", &s, 1, &in);
	CHECK(loop_run_once(b->loop, 0, &in.err) == 0);
	CHECK(!in.ended && storages_count(b->t) == 1 && mounts_at(b, "v") == 1);
	close(busy);
	UNTIL(b, out.ended);
	UNTIL(b, exists(b, "v"));
	open_gate(b, "v", 'o');
	UNTIL(b, in.ended);
	CHECK(out.err.code == ERROR_OK && in.err.code == ERROR_OK);
	CHECK(mounts_at(b, "v") == 1 && !exists(b, "v/old"));
	CHECK(release(b, "two").code == ERROR_OK);
}

AGENT_TEST(storage_release, one_that_stays_busy_is_detached)
{
	struct result out, in;
	struct storage_spec s;

	mount_gate(b, "one", "v");
	s = gate(b, "v");
	int busy = open(at(b, "v"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(busy >= 0);
	start_release(b, "one", &out);
	submit(b, "two", &s, 1, &in);
	CHECK(loop_run_once(b->loop, 0, &in.err) == 0);
	storages_abort(in.request, NULL, NULL);
	/* busy for good: detached in the end */
	UNTIL(b, out.ended);
	CHECK(out.err.code == ERROR_OK && !in.ended);
	CHECK(storages_count(b->t) == 0 && !exists(b, "v"));
	close(busy);
}

AGENT_TEST(storage_release, a_mount_in_its_course_is_cancelled_and_waited_for)
{
	struct result in, out;

	begin_gate(b, "one", "v", &in);
	start_release(b, "one", &out);
	UNTIL(b, out.ended);
	/* the release has waited for the end of it all */
	CHECK(out.err.code == ERROR_OK);
	CHECK(storages_count(b->t) == 0 && !exists(b, "v"));
	UNTIL(b, in.ended);
	CHECK(in.err.code == ERROR_ABORTED);
}

AGENT_TEST(storage_release, the_end_of_the_sandbox_takes_everything)
{
	struct result in, out;
	struct storage_spec s[3];

	/* storages of a container that could not be removed, of the sandbox, and one whose mount
	 * was just cancelled */
	mount_gate(b, "one", "a");
	s[0] = memory(b, "mem");
	CHECK(acquire(b, "", s, 1).code == ERROR_OK);
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
	CHECK(out.err.code == ERROR_OK && storages_count(b->t) == 0);
	CHECK(!exists(b, "a") && !exists(b, "mem") && !exists(b, "c") && !exists(b, "d"));
	UNTIL(b, in.ended);
	CHECK(in.err.code == ERROR_ABORTED);
}

AGENT_TEST(storage_release, a_volume_of_the_pod_outlives_its_containers)
{
	struct storage_spec s[2], shared;

	s[0] = memory(b, "mem");
	s[1] = memory(b, "dir");
	s[1].driver = "local";
	s[1].fstype = "local";
	mount_gate(b, "unused", "x");
	CHECK(release(b, "unused").code == ERROR_OK);
	CHECK(acquire(b, "one", s, 2).code == ERROR_OK);
	put_file(b, "mem/kept");
	put_file(b, "dir/kept");
	CHECK(release(b, "one").code == ERROR_OK);
	CHECK(exists(b, "mem/kept") && exists(b, "dir/kept"));
	/* the container that takes its place finds them */
	CHECK(acquire(b, "one", s, 2).code == ERROR_OK);
	CHECK(exists(b, "mem/kept") && exists(b, "dir/kept") && mounts_at(b, "mem") == 1);
	CHECK(release(b, "one").code == ERROR_OK);

	/* so does what the host calls shared, whatever its driver */
	shared = memory(b, "bound");
	shared.driver = "bind";
	shared.source = at(b, "dir");
	shared.shared = true;
	CHECK(acquire(b, "one", &shared, 1).code == ERROR_OK);
	CHECK(release(b, "one").code == ERROR_OK);
	CHECK(exists(b, "bound/kept"));

	CHECK(unlink(at(b, "dir/kept")) == 0);
	CHECK(release(b, "").code == ERROR_OK);
	CHECK(storages_count(b->t) == 0 && !exists(b, "mem") && !exists(b, "dir") &&
	      !exists(b, "bound"));
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
	CHECK(acquire(b, "one", s, 2).code != ERROR_OK);
	UNTIL(b, storages_count(b->t) == 0);
	CHECK(!exists(b, "mem"));
	/* mounted, but then its owner fails */
	submit(b, "one", s, 1, &r);
	UNTIL(b, r.ended);
	CHECK(r.err.code == ERROR_OK && release(b, "one").code == ERROR_OK);
	CHECK(storages_count(b->t) == 0 && !exists(b, "mem"));
	submit(b, "one", s, 1, &r);
	UNTIL(b, r.ended);
	CHECK(acquire(b, "two", s, 1).code == ERROR_OK);
	CHECK(release(b, "two").code == ERROR_OK && release(b, "one").code == ERROR_OK);
	CHECK(storages_count(b->t) == 1 && mounts_at(b, "mem") == 1);
	CHECK(release(b, "").code == ERROR_OK && storages_count(b->t) == 0);
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
	CHECK(r.err.code != ERROR_OK && strstr(r.err.msg, "nosuchfs"));
	CHECK(storages_count(b->t) == 0 && mounts_added(b) == 0 && !exists(b, "mem"));
	/* one that is cancelled, too */
	make_gate(b, "v");
	s[1] = gate(b, "v");
	submit(b, "one", s, 2, &r);
	UNTIL(b, exists(b, "v"));
	storages_abort(r.request, on_done, &gone);
	CHECK(!gone.ended);
	UNTIL(b, gone.ended);
	CHECK(!r.ended && storages_count(b->t) == 0 && mounts_added(b) == 0);
	CHECK(!exists(b, "mem") && !exists(b, "v"));
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
	CHECK(!in.ended && !late.ended && !out.ended);
	(void)rmdir(at(b, "v"));
	(void)unlink(at(b, "v.gate"));
	(void)rmdir(b->dir);
	device_watch_free(b->devices);
	initlink_free(b->link);
	loop_free(b->loop);
	b->is_released = true;
}
