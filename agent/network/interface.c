/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UpdateInterface's work: finds the interface and configures it. Worker only: may block. Every step
 * is idempotent, so that a host can retry. Called by network.c.
 */
#include "agent/network/network_internal.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_link.h>

#include "agent/network/snapshot.h"
#include "lib/client_texts.h"
#include "lib/io.h"

/* An interface that is being changed. */
struct change {
	struct worker *w;
	struct rtnl *r;
	const struct net_task *task;
	struct net_link link;
	struct net_snapshot_of of;
	/* The former routes, while the interface is down for the change. */
	struct net_snapshot routes;
	bool is_down;
};

static int interface_find(struct change *c, struct error *err);
static int interface_find_by_mac(struct change *c, struct error *err);
static int interface_configure(struct change *c, struct error *err);
static int interface_set_mac(struct change *c, struct error *err);
static int interface_take_name(struct change *c, struct error *err);
static int interface_set_attribute(struct change *c, int type, const void *value, size_t size);
static int interface_take_down(struct change *c, struct error *err);
static int interface_bring_up(struct change *c, uint32_t flags, uint32_t mask, struct error *err);

int
net_interface_work(struct worker *w, struct net_task *task, struct error *err)
{
	struct rtnl r;
	struct change c = { .w = w, .r = &r, .task = task };
	struct error ignored = ERROR_INIT;
	char text[NET_MAC_TEXT];
	uint8_t is_last = task->is_last_look;
	int found, result = -1;

	if (rtnl_open(&r, err) < 0)
		return -1;
	found = interface_find(&c, err);
	if (found == 0) {
		result = interface_configure(&c, err);
		/* A change that needed it down may have failed. */
		if (result < 0 && c.is_down)
			(void)interface_bring_up(&c, 0, 0, &ignored);
	}
	net_snapshot_release(&c.routes);
	rtnl_close(&r);
	if (found <= 0)
		return result;
	if (worker_send(w, NET_MESSAGE_ABSENT, &is_last, sizeof(is_last), NULL, 0, false, err) < 0)
		return -1;
	return error_set(err, ERROR_NOT_FOUND, TEXT_LINK_NOT_FOUND " (%s%s%s)",
			 net_format_mac(&task->interface.mac, text),
			 task->interface.has_path ? " at the PCI path of " : ", for ",
			 task->interface.name);
}

/* ---- finding the interface ---- */

/* Finds the interface by PCI path; if the path is empty, by MAC address. Returns as
 * interface_find_by_mac(). */
static int
interface_find(struct change *c, struct error *err)
{
	const struct net_interface *wanted = &c->task->interface;
	char name[IFNAMSIZ];
	int r;

	if (!wanted->has_path)
		return interface_find_by_mac(c, err);
	if (net_find_at_path(c->task->roots->sys, &wanted->path, name)) {
		r = net_link_get(c->r, name, &c->link, err);
		if (r <= 0)
			return r;
	}
	if (!c->task->is_last_look || wanted->mac.len == 0)
		return 1;
	r = interface_find_by_mac(c, err);
	if (r == 0)
		worker_log(c->w, LOG_LEVEL_WARN, "%s was found by MAC address, not at its PCI path",
			   c->link.name);
	return r;
}

/* Ranks a link among those with the same MAC address; lower is better. A VLAN or macvlan shares the
 * address of its lower device, the parts of a failover share that of the whole, and interfaces that
 * are ipvlans on the host share one. */
static unsigned int
interface_distance(const struct net_link *link, const char *name)
{
	return (link->master ? 8u : 0) + (link->lower ? 4u : 0) +
	       (strcmp(link->name, name) != 0 ? 2u : 0) + (link->flags & IFF_UP ? 1u : 0);
}

/* Returns whether the link has the MAC address and is not a part of, or on top of, another link. */
static bool
interface_is_plainly_it(const struct net_link *link, const struct net_interface *wanted)
{
	return net_mac_equal(&link->mac, &wanted->mac) &&
	       interface_distance(link, wanted->name) < 4;
}

/* Tries the likely places: the name, and the cached index. Returns 0, 1 or -1 as
 * interface_find_by_mac(). */
static int
interface_find_quickly(struct change *c, struct error *err)
{
	const struct net_interface *wanted = &c->task->interface;
	int r = 1;

	if (wanted->name[0])
		r = net_link_get(c->r, wanted->name, &c->link, err);
	if (r == 0 && interface_is_plainly_it(&c->link, wanted))
		return 0;
	if (r >= 0 && c->task->hint)
		r = net_link_get_at(c->r, c->task->hint, &c->link, err);
	else if (r == 0)
		r = 1;
	/* A link that is up may be in use by now, while a better match has appeared: a full listing
	 * decides. */
	if (r == 0 && (!interface_is_plainly_it(&c->link, wanted) || c->link.flags & IFF_UP))
		r = 1;
	return r;
}

/* Sends the listing to the loop for later lookups. */
static int
interface_tell_seen(struct worker *w, const struct net_links *links, struct error *err)
{
	_Alignas(struct net_ifindex) char payload[32u << 10];
	size_t size = sizeof(payload);

	net_ifindex_cache_fill(links, payload, &size);
	return worker_send(w, NET_MESSAGE_SEEN, payload, size, NULL, 0, false, err);
}

static const struct net_link *
interface_nearest(const struct net_links *links, const struct net_interface *wanted)
{
	const struct net_link *best = NULL;

	for (size_t i = 0; i < links->n; i++) {
		const struct net_link *link = &links->list[i];

		if (net_mac_equal(&link->mac, &wanted->mac) &&
		    (!best || interface_distance(link, wanted->name) <
				      interface_distance(best, wanted->name)))
			best = link;
	}
	return best;
}

/* Returns the only network card if it is unused and has this name: the request's MAC address may be
 * wrong. NULL in case of doubt. */
static const struct net_link *
interface_only_one(const struct net_links *links, const char *name)
{
	const struct net_link *only = NULL;

	for (size_t i = 0; links->list && i < links->n; i++) {
		const struct net_link *link = &links->list[i];

		if (link->type != ARPHRD_ETHER)
			continue;
		if (only)
			return NULL;
		only = link;
	}
	return only && !(only->flags & IFF_UP) && strcmp(only->name, name) == 0 ? only : NULL;
}

/* Returns 0 if found, 1 if absent, -1 and err on failure. */
static int
interface_find_by_mac(struct change *c, struct error *err)
{
	const struct net_interface *wanted = &c->task->interface;
	const struct net_link *found;
	struct net_links links;
	int r = interface_find_quickly(c, err);

	if (r <= 0)
		return r;
	if (net_links_read(c->r, &links, err) < 0)
		return -1;
	if (interface_tell_seen(c->w, &links, err) < 0) {
		net_links_release(&links);
		return -1;
	}
	found = interface_nearest(&links, wanted);
	if (!found && c->task->is_last_look && !wanted->has_path)
		found = interface_only_one(&links, wanted->name);
	if (found)
		c->link = *found;
	net_links_release(&links);
	return found ? 0 : 1;
}

/* ---- configuring it ---- */

static int
interface_configure(struct change *c, struct error *err)
{
	const struct net_interface *wanted = &c->task->interface;

	if (interface_set_mac(c, err) < 0)
		return -1;
	if (wanted->mtu && wanted->mtu != c->link.mtu &&
	    interface_set_attribute(c, IFLA_MTU, &wanted->mtu, sizeof(wanted->mtu)) < 0)
		return rtnl_error(c->r, err, "failed to set the MTU of %s to %u", c->link.name,
				  wanted->mtu);
	if (interface_take_name(c, err) < 0 ||
	    interface_bring_up(c, wanted->flags & IFF_NOARP, IFF_NOARP, err) < 0)
		return -1;
	return net_addresses_apply(c->w, c->r, &c->link, wanted, net_ipv6_is_off(c->task->roots),
				   err);
}

/* Sets the requested MAC address on a card that was found by its PCI path, if its driver
 * permits. */
static int
interface_set_mac(struct change *c, struct error *err)
{
	const struct net_interface *wanted = &c->task->interface;

	if (wanted->mac.len == 0 || net_mac_equal(&c->link.mac, &wanted->mac))
		return 0;
	if (interface_set_attribute(c, IFLA_ADDRESS, wanted->mac.bytes, wanted->mac.len) == 0)
		return 0;
	rtnl_error(c->r, err, "failed to set the MAC address of %s", c->link.name);
	if (!wanted->has_path)
		return -1;
	worker_log(c->w, LOG_LEVEL_WARN, "%s", err->msg);
	*err = ERROR_INIT;
	return 0;
}

static int
interface_set_name(struct change *c, const char *name, struct error *err)
{
	char former[IFNAMSIZ];

	if (interface_set_attribute(c, IFLA_IFNAME, name, strlen(name) + 1) < 0)
		return rtnl_error(c->r, err, "failed to rename %s to %s", c->link.name, name);
	memcpy(former, c->link.name, sizeof(former));
	(void)snprintf(c->link.name, sizeof(c->link.name), "%s", name);
	worker_log(c->w, LOG_LEVEL_INFO, "interface %s renamed to %s", former, name);
	return 0;
}

/* Swaps the names with the interface that has the requested name. */
static int
interface_swap_names(struct change *c, struct change *other, const char *name, struct error *err)
{
	struct error ignored = ERROR_INIT;
	char former[IFNAMSIZ], parked[IFNAMSIZ];

	memcpy(former, c->link.name, sizeof(former));
	(void)snprintf(parked, sizeof(parked), "tmp%u", other->link.index);
	if (interface_set_name(other, parked, err) < 0)
		return -1;
	if (interface_set_name(c, name, err) < 0) {
		(void)interface_set_name(other, name, &ignored);
		return -1;
	}
	return interface_set_name(other, former, err);
}

static int
interface_take_name(struct change *c, struct error *err)
{
	const char *name = c->task->interface.name;
	struct change other = { .w = c->w, .r = c->r, .task = c->task };
	struct error why = ERROR_INIT;
	int result;

	if (!name[0] || strcmp(c->link.name, name) == 0)
		return 0;
	result = net_link_get(c->r, name, &other.link, err);
	if (result < 0)
		return -1;
	/* It may have been found by an alternative name, which the kernel does not allow to repeat
	 * either. */
	if (result == 1 || strcmp(other.link.name, name) != 0)
		return interface_set_name(c, name, err);
	result = interface_swap_names(c, &other, name, err);
	if (other.is_down && interface_bring_up(&other, 0, 0, &why) < 0)
		worker_log(c->w, LOG_LEVEL_WARN, "%s", why.msg);
	net_snapshot_release(&other.routes);
	return result;
}

/* Changes one attribute. Most can be changed while the interface is in use; with some drivers, and
 * before Linux 6.2, not its name or MAC address. Returns -1 and err, or -1 and errno in c->r. */
static int
interface_set_attribute(struct change *c, int type, const void *value, size_t size)
{
	struct error ignored = ERROR_INIT;

	for (int i = 0;; i++) {
		struct nl_msg *msg = net_link_change(c->link.index, 0, 0);

		if (msg && !rtnl_put(msg, type, value, size)) {
			nlmsg_free(msg);
			msg = NULL;
		}
		if (rtnl_talk(c->r, msg) == 0)
			return 0;
		if (i > 0 || c->r->errnum != EBUSY || !(c->link.flags & IFF_UP) || c->is_down)
			return -1;
		if (interface_take_down(c, &ignored) < 0)
			return -1;
	}
}

/* Sets the interface down; saves its routes, and lets the kernel keep its IPv6 addresses. */
static int
interface_take_down(struct change *c, struct error *err)
{
	char key[64];

	c->of = (struct net_snapshot_of){ .link = c->link.index };
	if (net_snapshot_take(c->r, &c->of, &c->routes, err) < 0)
		return -1;
	c->is_down = true;
	(void)snprintf(key, sizeof(key), "sys/net/ipv6/conf/%s/keep_addr_on_down", c->link.name);
	(void)write_text_at(c->task->roots->proc, key, "1");
	if (rtnl_talk(c->r, net_link_change(c->link.index, 0, IFF_UP)) < 0)
		return rtnl_error(c->r, err, "failed to set %s down", c->link.name);
	return 0;
}

/* Sets the interface up with these flags and restores the routes saved by interface_take_down(). */
static int
interface_bring_up(struct change *c, uint32_t flags, uint32_t mask, struct error *err)
{
	struct error why = ERROR_INIT;

	if (rtnl_talk(c->r, net_link_change(c->link.index, IFF_UP | flags, IFF_UP | mask)) < 0)
		return rtnl_error(c->r, err, "failed to set %s up", c->link.name);
	if (c->is_down && net_snapshot_restore(c->r, &c->routes, &why) < 0)
		worker_log(c->w, LOG_LEVEL_WARN, "failed to restore the routes of %s: %s",
			   c->link.name, why.msg);
	c->is_down = false;
	return 0;
}
