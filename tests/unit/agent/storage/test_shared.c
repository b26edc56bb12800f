/* SPDX-License-Identifier: Apache-2.0 */
/* Storages that several ask for: one mount, counted references, and what a failure does to those
 * who wait. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/unit/agent/storage/bench.h"

AGENT_TEST(storage_shared, two_requests_for_one_mount_point_share_one_mount)
{
	struct result one, two;
	struct storage_spec s;

	s = gate(b, "v");
	begin_gate(b, "one", "v", &one);
	submit(b, "two", &s, 1, &two);
	UNTIL(b, jobs_running(b->jobs) == 1);
	REQUIRE(!one.ended && !two.ended);
	open_gate(b, "v", 'o');
	UNTIL(b, one.ended && two.ended);
	REQUIRE_EQ(one.err.code, ERROR_OK);
	REQUIRE_EQ(two.err.code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(storages_count(b->t), 1);

	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(release(b, "nobody").code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(release(b, "two").code, ERROR_OK);
	REQUIRE(!exists(b, "v"));
}

AGENT_TEST(storage_shared, a_failing_mount_fails_all_who_wait_for_it_and_is_undone)
{
	struct result one, two;
	struct storage_spec s;

	make_gate(b, "v");
	s = gate(b, "v");
	submit(b, "one", &s, 1, &one);
	begin_gate(b, "two", "v", &two);
	open_gate(b, "v", 'f');
	UNTIL(b, one.ended && two.ended);
	REQUIRE_EQ(one.err.code, ERROR_UNAVAILABLE);
	REQUIRE_EQ(two.err.code, ERROR_UNAVAILABLE);
	REQUIRE_HAS(one.err.msg, s.mount_point);
	REQUIRE_HAS(one.err.msg, "gate");
	REQUIRE_HAS(one.err.msg, "told to fail");
	REQUIRE_STR(one.err.msg, two.err.msg);
	REQUIRE(!exists(b, "v"));

	/* the next one is not burdened with it */
	begin_gate(b, "three", "v", &one);
	open_gate(b, "v", 'o');
	UNTIL(b, one.ended);
	REQUIRE_EQ(one.err.code, ERROR_OK);
	REQUIRE_EQ(release(b, "three").code, ERROR_OK);
}

AGENT_TEST(storage_shared, the_first_is_released_when_the_second_of_three_fails)
{
	struct storage_spec s[3];
	struct error err;

	s[0] = gate(b, "a");
	make_gate(b, "a");
	s[1] = memory(b, "deep/b");
	s[1].fstype = "nosuchfs";
	s[2] = memory(b, "c");
	struct result r;

	submit(b, "one", s, 3, &r);
	UNTIL(b, exists(b, "a"));
	open_gate(b, "a", 'o');
	UNTIL(b, r.ended);
	err = r.err;
	REQUIRE_NE(err.code, ERROR_OK);
	REQUIRE_HAS(err.msg, s[1].mount_point);
	REQUIRE_HAS(err.msg, "nosuchfs");
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(!exists(b, "a") && !exists(b, "deep") && !exists(b, "c"));
}

AGENT_TEST(storage_shared, a_failed_request_takes_nothing_from_another_owner)
{
	struct storage_spec s[2];

	s[0] = gate(b, "a");
	make_gate(b, "a");
	s[1] = memory(b, "b");
	s[1].fstype = "nosuchfs";
	struct result r;

	submit(b, "other", s, 1, &r);
	UNTIL(b, exists(b, "a"));
	open_gate(b, "a", 'o');
	UNTIL(b, r.ended);
	REQUIRE_NE(acquire(b, "one", s, 2).code, ERROR_OK);
	UNTIL(b, storages_count(b->t) == 1);
	REQUIRE_EQ(mounts_at(b, "a"), 1);
	REQUIRE_EQ(release(b, "other").code, ERROR_OK);
}

AGENT_TEST(storage_shared, one_mount_point_is_not_for_two_things)
{
	struct storage_spec s, other;
	struct error err;

	s = memory(b, "v");
	REQUIRE_EQ(acquire(b, "one", &s, 1).code, ERROR_OK);
	other = s;
	other.source = "elsewhere";
	err = acquire(b, "two", &other, 1);
	REQUIRE_EQ(err.code, ERROR_FAILED_PRECONDITION);
	REQUIRE_HAS(err.msg, s.mount_point);
	/* the same but for a slash at the end is the same */
	other = s;
	other.mount_point = at(b, "v/");
	REQUIRE_EQ(acquire(b, "two", &other, 1).code, ERROR_OK);
	REQUIRE_EQ(storages_count(b->t), 1);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
}

AGENT_TEST(storage_shared, one_request_may_name_a_mount_point_twice)
{
	struct storage_spec s[2];

	s[0] = s[1] = gate(b, "v");
	make_gate(b, "v");
	struct result r;

	submit(b, "one", s, 2, &r);
	UNTIL(b, exists(b, "v"));
	open_gate(b, "v", 'o');
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
}

AGENT_TEST(storage_shared, a_mount_that_takes_its_time_holds_up_nobody_else)
{
	struct storage_spec slow, quick;
	struct result r;

	slow = gate(b, "slow");
	make_gate(b, "slow");
	quick = memory(b, "quick");
	submit(b, "one", &slow, 1, &r);
	UNTIL(b, exists(b, "slow"));
	REQUIRE_EQ(acquire(b, "two", &quick, 1).code, ERROR_OK);
	REQUIRE(!r.ended);
	open_gate(b, "slow", 'o');
	UNTIL(b, r.ended);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
}

AGENT_TEST(storage_shared, a_request_without_storages_is_done)
{
	REQUIRE_EQ(acquire(b, "one", NULL, 0).code, ERROR_OK);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
}
