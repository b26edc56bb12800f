/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are cancelled, in every state of their storage. */
#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/unit/agent/storage/bench.h"

AGENT_TEST(storage_cancel, a_mount_that_nobody_wants_any_more_is_undone)
{
	struct result r;
	struct storage_spec s;

	s = gate(b, "deep/v");
	REQUIRE_EQ(mkfifo(at(b, "deep.gate"), 0600), 0);
	s.source = at(b, "deep.gate");
	submit(b, "one", &s, 1, &r);
	UNTIL(b, exists(b, "deep/v"));
	storages_abort(r.request, NULL, NULL);
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(!r.ended);
	REQUIRE(!exists(b, "deep"));
}

AGENT_TEST(storage_cancel, a_request_that_has_not_begun_leaves_no_trace)
{
	struct result r;
	struct storage_spec s;

	s = memory(b, "v");
	submit(b, "one", &s, 1, &r);
	storages_abort(r.request, NULL, NULL);
	REQUIRE_EQ(release(b, "one").code, ERROR_OK);
	REQUIRE(!r.ended);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "v"));
	storages_abort(NULL, NULL, NULL);
}

AGENT_TEST(storage_cancel, the_mount_goes_on_for_another_who_waits)
{
	struct result one, two;
	struct storage_spec s;

	s = gate(b, "v");
	begin_gate(b, "one", "v", &one);
	submit(b, "two", &s, 1, &two);
	UNTIL(b, storages_count(b->t) == 1);
	REQUIRE_OK(loop_run_once(b->loop, 0, &one.err), &one.err);
	storages_abort(one.request, NULL, NULL);
	open_gate(b, "v", 'o');
	UNTIL(b, two.ended);
	REQUIRE_EQ(two.err.code, ERROR_OK);
	REQUIRE(!one.ended);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(release(b, "two").code, ERROR_OK);
}

AGENT_TEST(storage_cancel, who_comes_while_it_is_undone_gets_a_mount_of_his_own)
{
	struct result one, two;
	struct storage_spec s;

	s = gate(b, "v");
	begin_gate(b, "one", "v", &one);
	storages_abort(one.request, NULL, NULL);
	submit(b, "two", &s, 1, &two);
	REQUIRE_OK(loop_run_once(b->loop, 0, &two.err), &two.err);
	REQUIRE(!two.ended);
	/* the first goes, with what it made; then there is one of its own */
	UNTIL(b, !exists(b, "v"));
	UNTIL(b, exists(b, "v"));
	open_gate(b, "v", 'o');
	UNTIL(b, two.ended);
	REQUIRE_EQ(two.err.code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "v"), 1);
	REQUIRE_EQ(storages_count(b->t), 1);
	REQUIRE_EQ(release(b, "two").code, ERROR_OK);
}

AGENT_TEST(storage_cancel, a_mount_that_succeeds_just_then_is_taken_away)
{
	struct result r;
	struct error err = ERROR_INIT;

	/* Mounted, while the loop does not look: it has taken nothing but the step before. If it
	 * has taken more, once again. */
	for (int tries = 0;; tries++) {
		begin_gate(b, "one", "v", &r);
		open_gate(b, "v", 'o');
		while (mounts_at(b, "v") == 0) {
			REQUIRE_OK(loop_run_once(b->loop, 10, &err), &err);
			for (int i = 0; i < 10 && mounts_at(b, "v") == 0; i++)
				REQUIRE_EQ(poll(NULL, 0, 5), 0);
		}
		if (!r.ended)
			break;
		REQUIRE_LT(tries, 100);
		REQUIRE_EQ(release(b, "one").code, ERROR_OK);
		UNTIL(b, storages_count(b->t) == 0);
	}
	storages_abort(r.request, NULL, NULL);
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(!r.ended && !exists(b, "v"));

	/* and the other way round: cancelled when it was done, before the request heard of it */
	begin_gate(b, "two", "v", &r);
	open_gate(b, "v", 'o');
	UNTIL(b, mounts_at(b, "v") == 1);
	if (!r.ended)
		storages_abort(r.request, NULL, NULL);
	err = release(b, "two");
	REQUIRE_EQ(err.code, ERROR_OK);
	UNTIL(b, storages_count(b->t) == 0);
}

AGENT_TEST(storage_cancel, what_was_mounted_before_goes_too)
{
	struct result r;
	struct storage_spec s[2];

	make_gate(b, "a");
	make_gate(b, "b");
	s[0] = gate(b, "a");
	s[1] = gate(b, "b");
	submit(b, "one", s, 2, &r);
	UNTIL(b, exists(b, "a"));
	open_gate(b, "a", 'o');
	UNTIL(b, exists(b, "b"));
	REQUIRE_EQ(mounts_at(b, "a"), 1);
	storages_abort(r.request, NULL, NULL);
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(!r.ended && !exists(b, "a") && !exists(b, "b"));
}

static struct storage_spec
disk(const struct bench *b, const char *name)
{
	struct storage_spec s = memory(b, name);

	s.driver = "blk";
	s.source = "1f.7";
	s.fstype = "ext4";
	return s;
}

AGENT_TEST(storage_cancel, a_storage_whose_device_is_awaited)
{
	struct result one, two;
	struct storage_spec s;

	s = disk(b, "v");
	submit(b, "one", &s, 1, &one);
	REQUIRE_OK(loop_run_once(b->loop, 0, &one.err), &one.err);
	REQUIRE_EQ(storages_count(b->t), 1);
	storages_abort(one.request, NULL, NULL);
	REQUIRE_EQ(storages_count(b->t), 0);

	/* its device does not come: all who wait hear it */
	submit(b, "one", &s, 1, &one);
	submit(b, "two", &s, 1, &two);
	UNTIL(b, one.ended && two.ended);
	REQUIRE_EQ(one.err.code, ERROR_NOT_FOUND);
	REQUIRE_EQ(two.err.code, ERROR_NOT_FOUND);
	REQUIRE_HAS(one.err.msg, "1f.7");
	REQUIRE_HAS(one.err.msg, s.mount_point);
	REQUIRE_HAS(one.err.msg, TEXT_NO_UEVENT);
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE(!exists(b, "v"));
}
