/* SPDX-License-Identifier: Apache-2.0 */
/* The number of waits for an interface that never appears, and the time of the final error. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/network/absent.h"
#include "agent/network/network_internal.h"
#include "lib/client_texts.h"
#include "tests/support/check.h"

#define MS      1000000ull
#define WAIT_MS 3000

static struct net_interface
card(unsigned int number)
{
	struct net_interface i = { .name = "eth0", .mac = { .len = 6, .bytes = { 2 } } };

	i.mac.bytes[5] = (uint8_t)number;
	return i;
}

/* One call at *now; it takes the time that it waits. Returns whether the Go runtime repeats it. */
static bool
try_once(struct net_absent *a, const struct net_interface *i, uint64_t *now, unsigned int *waits)
{
	struct error err = ERROR_INIT;

	error_set(&err, ERROR_NOT_FOUND, TEXT_LINK_NOT_FOUND " (X)");
	if (!net_absent_is_known(a, i, *now)) {
		*now += WAIT_MS * MS;
		++*waits;
	}
	net_absent_report(a, i, WAIT_MS, *now, &err);
	REQUIRE_EQ(err.code, ERROR_NOT_FOUND);
	REQUIRE_HAS(err.msg, "appear");
	return strstr(err.msg, TEXT_LINK_NOT_FOUND) != NULL;
}

/* 20 tries, 20 ms * 2^n and up to 100 ms apart; ends with any other error. */
Test(network_absent, the_go_runtime_gives_up_in_time)
{
	for (unsigned int jitter = 0; jitter <= 100; jitter += 10) {
		static const struct net_absent none;
		struct net_absent a = none;
		const struct net_interface i = card(1);
		uint64_t start = 1000 * MS, now = start;
		unsigned int waits = 0, tries = 0;

		for (; tries < 20; tries++) {
			if (!try_once(&a, &i, &now, &waits))
				break;
			now += ((20ull << tries) + jitter) * MS;
		}
		CHECK_EQ(waits, 1, "%u waits", waits);
		CHECK(tries > 5 && tries < 20, "%u tries", tries);
		CHECK_LT(now - start, 30000 * MS, "%llu ms",
			 (unsigned long long)((now - start) / MS));
		/* that was all: a call that repeats nothing waits again */
		now += NET_ABSENT_OVER_MS * MS;
		CHECK(!net_absent_is_known(&a, &i, now));
	}
}

Test(network_absent, the_rust_runtime_waits_once)
{
	static struct net_absent a;
	const struct net_interface i = card(1);
	uint64_t now = 1;
	unsigned int waits = 0;

	for (unsigned int n = 0; n < 10; n++, now += 100 * MS)
		CHECK(try_once(&a, &i, &now, &waits));
	CHECK_EQ(waits, 1);
	CHECK_LT(now, 5000 * MS);
}

/* agent.hotplug_timeout may be as long as a series. */
Test(network_absent, the_rust_runtime_waits_once_for_long)
{
	static struct net_absent a;
	const struct net_interface i = card(1);
	uint64_t now = 1;
	unsigned int waits = 0;

	for (unsigned int n = 0; n < 10; n++, now += 100 * MS) {
		struct error err = ERROR_INIT;

		error_set(&err, ERROR_NOT_FOUND, TEXT_LINK_NOT_FOUND " (X)");
		if (!net_absent_is_known(&a, &i, now)) {
			now += NET_ABSENT_SERIES_MS * MS;
			waits++;
		}
		net_absent_report(&a, &i, NET_ABSENT_SERIES_MS, now, &err);
		CHECK_LACKS(err.msg, TEXT_LINK_NOT_FOUND);
	}
	CHECK_EQ(waits, 1, "%u", waits);
	now += NET_ABSENT_OVER_MS * MS;
	CHECK(!net_absent_is_known(&a, &i, now));
}

Test(network_absent, each_is_remembered_by_itself)
{
	static struct net_absent a;
	struct net_interface one = card(1), other = card(2), path = card(1);
	uint64_t now = 5000 * MS;
	unsigned int waits = 0;

	path.has_path = true;
	path.path.n = 1;
	path.path.hops[0].slot = 5;
	try_once(&a, &one, &now, &waits);
	CHECK(net_absent_is_known(&a, &one, now));
	CHECK(!net_absent_is_known(&a, &other, now));
	CHECK(!net_absent_is_known(&a, &path, now));
	try_once(&a, &path, &now, &waits);
	path.path.hops[0].slot = 6;
	CHECK(!net_absent_is_known(&a, &path, now));
	/* the card has come */
	net_absent_forget(&a, &one);
	CHECK(!net_absent_is_known(&a, &one, now));
	/* long after */
	try_once(&a, &one, &now, &waits);
	now += (uint64_t)NET_ABSENT_FORGET_MS * MS;
	CHECK(!net_absent_is_known(&a, &one, now));
	CHECK_EQ(waits, 3);
	try_once(&a, &one, &now, &waits);
	CHECK_EQ(waits, 4);
}

Test(network_absent, the_newest_are_kept)
{
	static struct net_absent a;
	uint64_t now = 5000 * MS;
	unsigned int waits = 0;

	for (unsigned int n = 0; n <= NET_ABSENT_MAX; n++) {
		const struct net_interface i = card(n);

		try_once(&a, &i, &now, &waits);
	}
	for (unsigned int n = 0; n <= NET_ABSENT_MAX; n++) {
		const struct net_interface i = card(n);

		CHECK_EQ(net_absent_is_known(&a, &i, now), n > 0, "%u", n);
	}
}
