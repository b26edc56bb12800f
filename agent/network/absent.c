/* SPDX-License-Identifier: Apache-2.0 */
/* Tracks series of calls for an absent interface. Called by network.c. */
#include "agent/network/absent.h"

#include "agent/network/network_internal.h"
#include "lib/deadline.h"

static bool
absent_same_path(const struct pci_path *a, const struct pci_path *b)
{
	if (a->root != b->root || a->n != b->n)
		return false;
	for (unsigned int i = 0; i < a->n; i++) {
		if (a->hops[i].slot != b->hops[i].slot ||
		    a->hops[i].function != b->hops[i].function)
			return false;
	}
	return true;
}

static bool
absent_is_for(const struct net_absent_one *one, const struct net_interface *wanted)
{
	return one->begun_ns > 0 && net_mac_equal(&one->mac, &wanted->mac) &&
	       one->has_path == wanted->has_path &&
	       (!one->has_path || absent_same_path(&one->path, &wanted->path));
}

/* Returns its index, or NET_ABSENT_MAX. */
static size_t
absent_find(const struct net_absent *a, const struct net_interface *wanted, uint64_t now_ns)
{
	size_t i = 0;

	while (i < NET_ABSENT_MAX &&
	       (!absent_is_for(&a->list[i], wanted) ||
		now_ns - a->list[i].last_ns >= (uint64_t)NET_ABSENT_FORGET_MS * NS_PER_MS))
		i++;
	return i;
}

bool
net_absent_is_known(const struct net_absent *a, const struct net_interface *wanted, uint64_t now_ns)
{
	return absent_find(a, wanted, now_ns) < NET_ABSENT_MAX;
}

/* Begins a series in the least recently used slot. */
static struct net_absent_one *
absent_begin(struct net_absent *a, const struct net_interface *wanted, uint64_t begun_ns)
{
	struct net_absent_one *place = &a->list[0];

	net_absent_forget(a, wanted);
	for (size_t i = 1; i < NET_ABSENT_MAX; i++) {
		if (a->list[i].last_ns < place->last_ns)
			place = &a->list[i];
	}
	*place = (struct net_absent_one){
		.mac = wanted->mac,
		.has_path = wanted->has_path,
		.path = wanted->path,
		.begun_ns = begun_ns,
	};
	return place;
}

void
net_absent_report(struct net_absent *a, const struct net_interface *wanted, uint64_t waited_ms,
		  uint64_t now_ns, struct error *err)
{
	size_t i = absent_find(a, wanted, now_ns);
	uint64_t waited_ns = waited_ms * NS_PER_MS;
	struct net_absent_one *one;
	struct error why = *err;
	char text[NET_MAC_TEXT];
	unsigned long long ms;

	if (i < NET_ABSENT_MAX)
		one = &a->list[i];
	else
		one = absent_begin(a, wanted, now_ns > waited_ns ? now_ns - waited_ns : 1);
	one->last_ns = now_ns;
	ms = (now_ns - one->begun_ns) / NS_PER_MS;
	if (ms < NET_ABSENT_SERIES_MS) {
		error_set(err, why.code, "%s: did not appear within %llu ms", why.msg, ms);
		return;
	}
	/* Without the text that makes the runtime retry. */
	error_set(err, why.code, "no interface %s%s%s appeared within %llu ms, giving up",
		  net_format_mac(&wanted->mac, text),
		  wanted->has_path ? " at the PCI path of " : ", for ", wanted->name, ms);
	/* May be before the clock's zero: only differences count. */
	one->last_ns = now_ns - (NET_ABSENT_FORGET_MS - NET_ABSENT_OVER_MS) * (uint64_t)NS_PER_MS;
}

void
net_absent_forget(struct net_absent *a, const struct net_interface *wanted)
{
	for (size_t i = 0; i < NET_ABSENT_MAX; i++) {
		if (absent_is_for(&a->list[i], wanted))
			a->list[i] = (struct net_absent_one){ 0 };
	}
}
