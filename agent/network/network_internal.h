/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to agent/network: an operation in plain terms, and the work of each kind. */
#pragma once

#include "agent/device/pci.h"
#include "agent/job/job.h"
#include "agent/network/ifindex_cache.h"
#include "agent/network/links.h"
#include "agent/network/network.h"
#include "agent/network/rtnl.h"
#include "lib/list.h"

/* Messages of a worker. */
enum net_message {
	/* A part of the reply. */
	NET_MESSAGE_DATA = 1,
	/* The interface is absent. Payload: uint8_t, net_task.is_last_look as seen by the
	 * worker. */
	NET_MESSAGE_ABSENT,
	/* ifindex_cache.h */
	NET_MESSAGE_SEEN,
};

/* Size of a reply, as records or text: more than a message of 4 MiB can hold. */
#define NET_REPLY_MAX ((size_t)16 << 20)

struct net_interface {
	char name[IFNAMSIZ];
	struct net_mac mac;
	bool has_path;
	struct pci_path path;
	uint32_t mtu, flags;
	struct net_address *addresses;
	size_t n_addresses;
};

struct net_route {
	struct net_address destination, gateway,
		/* family AF_UNSPEC: none, but of the first */
		source;
	char device[IFNAMSIZ];
	uint32_t flags, mtu, index;
	uint8_t scope;
	/* An earlier route of the request has the same destination. */
	bool is_later;
};

struct net_neighbour {
	struct net_address address;
	struct net_mac mac;
	char device[IFNAMSIZ];
	uint16_t state;
	uint8_t flags;
};

/* The argument of a worker. Plain data: the worker has a copy. */
struct net_task {
	const struct roots *roots;
	struct net_interface interface;
	/* UpdateInterface: the wait has timed out. */
	bool is_last_look;
	/* The probable interface index; 0: unknown. */
	uint32_t hint;
	struct net_route *routes;
	struct net_neighbour *neighbours;
	/* Number of routes or neighbours. */
	size_t count;
	/* iptables */
	bool is_v6;
	char *rules;
};

/* ---- request validation: loop side, 0 or -1 and err; net_task_release() frees the result ---- */

int net_validate_interface(struct net_task *task, const struct net_interface_request *q,
			   struct error *err);
int net_validate_routes(struct net_task *task, const struct net_route_request *list, size_t count,
			struct error *err);
int net_validate_neighbours(struct net_task *task, const struct net_neighbour_request *list,
			    size_t count, struct error *err);
int net_validate_rules(struct net_task *task, const void *rules, size_t size, struct error *err);
void net_task_release(struct net_task *task);

/* Returns whether there is an interface at this PCI path, and its name. Reads sysfs only: never
 * blocks. */
bool net_find_at_path(int sysfd, const struct pci_path *path, char name[IFNAMSIZ]);

/* Gets the PCI path of an interface, "" if it has none. Reads sysfs only. */
void net_path_of(int sysfd, const char *name, char *out, size_t size);

/* ---- in workers: may block ---- */

int net_interface_work(struct worker *w, struct net_task *task, struct error *err);
int net_routes_work(struct worker *w, struct net_task *task, struct error *err);
int net_neighbours_work(struct worker *w, struct net_task *task, struct error *err);
int net_list_interfaces_work(struct worker *w, struct net_task *task, struct error *err);
int net_list_routes_work(struct worker *w, struct net_task *task, struct error *err);
int net_get_iptables_work(struct worker *w, struct net_task *task, struct error *err);
int net_set_iptables_work(struct worker *w, struct net_task *task, struct error *err);

/* Sends all of data as the reply. */
int net_send(struct worker *w, const struct buf *data, struct error *err);

/* Sets the addresses of the link to exactly these, in addition to those that the kernel makes or
 * learns itself. */
int net_addresses_apply(struct worker *w, struct rtnl *r, const struct net_link *link,
			const struct net_interface *wanted, bool ipv6_is_off, struct error *err);

/* Returns whether IPv6 is missing or disabled in the guest. IPv6 addresses and routes are then
 * skipped, as hosts expect. */
bool net_ipv6_is_off(const struct roots *roots);

/* Appends a record for each interface, followed by its addresses, and for each route. */
int net_read_interfaces(struct rtnl *r, const struct roots *roots, struct buf *out,
			struct error *err);
int net_read_routes(struct rtnl *r, const struct net_links *links, struct buf *out,
		    struct error *err);

/* Lists the routes and sends them. */
int net_send_routes(struct worker *w, struct rtnl *r, const struct net_links *links,
		    struct error *err);
