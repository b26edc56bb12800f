/* SPDX-License-Identifier: Apache-2.0 */
/* Delivery of OOM kills: counted, in turn, kept after the container is removed. The counters are
 * synthetic: this program's cgroup_oom_kills() replaces the agent's. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/oom.h"
#include "agent/sandbox/oom.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

struct taker {
	/* Must be first. */
	struct oom_waiter w;
	int ended;
	char id[64];
	struct error err;
};

static struct loop *loop;
static struct oom_events events;

static void
set_up(void)
{
	struct error err = ERROR_INIT;

	loop = loop_new(&err);
	REQUIRE(loop);
	oom_init(&events, loop);
}

static void
tear_down(void)
{
	oom_release(&events);
	loop_free(loop);
}

TestSuite(oom_events, .init = set_up, .fini = tear_down);

/* The synthetic counter in memory.events, indexed by the source's fd. */
static uint64_t kills_of[1024];

int
cgroup_oom_kills(int fd, uint64_t *kills)
{
	*kills = kills_of[fd];
	return kills_of[fd] == UINT64_MAX ? -1 : 0;
}

/* Watches a container with a pollable fd. */
static struct oom_source *
watch(const char *id, uint64_t seen, int *fd)
{
	struct error err = ERROR_INIT;
	struct oom_source *s;
	int ends[2];

	REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
	close(ends[1]);
	*fd = ends[0];
	REQUIRE_LT(ends[0], 1024);
	kills_of[ends[0]] = seen;
	s = oom_watch(&events, id, ends[0], seen, &err);
	REQUIRE(s, "%s", err.msg);
	return s;
}

static void
took(struct oom_waiter *w, const char *id, const struct error *err)
{
	struct taker *t = (struct taker *)w;

	t->ended++;
	t->err = *err;
	(void)snprintf(t->id, sizeof(t->id), "%s", id ? id : "");
}

static bool
take(struct taker *t)
{
	struct error err = ERROR_INIT;

	*t = (struct taker){ .w.done = took };
	return oom_take(&events, &t->w, t->id, sizeof(t->id), &err) == 0;
}

/* Kills before the watch are ignored; each later one is delivered once. */
Test(oom_events, each_once)
{
	struct taker first, second, third;
	struct oom_source *s;
	int fd;

	s = watch("c1", 5, &fd);
	CHECK(!take(&first));
	oom_check(s);
	CHECK_EQ(first.ended, 0);
	kills_of[fd] = 7;
	oom_check(s);
	CHECK_EQ(first.ended, 1);
	CHECK_STR(first.id, "c1");
	CHECK(take(&second), "the second kill was not kept");
	CHECK_STR(second.id, "c1");
	CHECK(!take(&third));
	pending_cancel(&(struct pending *){ &third.w.pending });
	kills_of[fd] = 8;
	oom_check(s);
	CHECK_EQ(third.ended, 0);
	CHECK(take(&second), "the kill was lost with the cancelled waiter");
	oom_unwatch(s);
}

/* Each kill goes to one waiter, in the order in which they arrived. */
Test(oom_events, several_waiters)
{
	struct taker t[3];
	struct oom_source *s;
	int fd;

	s = watch("c1", 0, &fd);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		CHECK(!take(&t[i]));
	kills_of[fd] = 2;
	oom_check(s);
	CHECK_EQ(t[0].ended, 1);
	CHECK_EQ(t[1].ended, 1);
	CHECK_EQ(t[2].ended, 0);
	pending_cancel(&(struct pending *){ &t[2].w.pending });
	oom_unwatch(s);
}

/* A container with many kills does not hold up those of others. */
Test(oom_events, in_turn)
{
	struct oom_source *a, *b;
	struct taker t;
	int fa, fb;

	a = watch("a", 0, &fa);
	b = watch("b", 0, &fb);
	kills_of[fa] = 1000;
	kills_of[fb] = 1;
	oom_check(a);
	oom_check(b);
	CHECK(take(&t));
	CHECK_STR(t.id, "a");
	CHECK(take(&t));
	CHECK_STR(t.id, "b");
	for (int i = 0; i < 999; i++)
		REQUIRE(take(&t), "kill %d", i);
	CHECK(!take(&t));
	pending_cancel(&(struct pending *){ &t.w.pending });
	oom_unwatch(a);
	oom_unwatch(b);
}

/* Kills of a removed container remain available, including those found by the last check. */
Test(oom_events, removed)
{
	struct oom_source *s;
	struct taker t;
	int fd;

	s = watch("c1", 0, &fd);
	kills_of[fd] = 2;
	oom_unwatch(s);
	CHECK(take(&t));
	CHECK(take(&t));
	CHECK_STR(t.id, "c1");
	CHECK(!take(&t));
	pending_cancel(&(struct pending *){ &t.w.pending });
	CHECK_EQ(events.removed, 0);
	CHECK(list_is_empty(&events.sources));
}

/* Without callers, the oldest removed containers are dropped. */
Test(oom_events, bounded)
{
	struct taker t;
	char id[32];
	int fd;

	for (int i = 0; i < 3 * OOM_REMOVED_MAX; i++) {
		struct oom_source *s;

		snprintf(id, sizeof(id), "c%d", i);
		s = watch(id, 0, &fd);
		kills_of[fd] = 1;
		oom_unwatch(s);
		REQUIRE_LE(events.removed, OOM_REMOVED_MAX);
	}
	CHECK(take(&t));
	CHECK_STR(t.id, "c200");
}

/* The cgroup disappears before the container. */
Test(oom_events, gone)
{
	struct oom_source *s;
	int fd;

	s = watch("c1", 0, &fd);
	kills_of[fd] = UINT64_MAX;
	oom_check(s);
	oom_check(s);
	oom_unwatch(s);
	oom_unwatch(NULL);
	oom_check(NULL);
}

Test(oom_events, end)
{
	struct error why = ERROR_INIT;
	struct taker t[2];

	CHECK(!take(&t[0]));
	CHECK(!take(&t[1]));
	error_set(&why, ERROR_INTERNAL, "the end");
	oom_end(&events, &why);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		CHECK_EQ(t[i].ended, 1);
		CHECK_EQ(t[i].err.code, ERROR_INTERNAL);
	}
}

Test(oom_events, limit_of_waiters)
{
	static struct taker t[OOM_WAITERS_MAX + 1];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < OOM_WAITERS_MAX; i++)
		CHECK(!take(&t[i]));
	t[OOM_WAITERS_MAX] = (struct taker){ .w.done = took };
	CHECK_EQ(oom_take(&events, &t[OOM_WAITERS_MAX].w, t->id, sizeof(t->id), &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	pending_cancel(&(struct pending *){ &t[OOM_WAITERS_MAX].w.pending });
	pending_cancel(&(struct pending *){ &t[0].w.pending });
	CHECK(!take(&t[0]), "the new caller waits in place of the cancelled one");
	for (size_t i = 0; i < OOM_WAITERS_MAX; i++)
		pending_cancel(&(struct pending *){ &t[i].w.pending });
	CHECK_EQ(events.n_waiters, 0);
}
