/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces, routes, neighbours and packet filter of the guest. Loop side: never blocks, the work
 * is done by workers. What changes something is done one after the other, in the order that it
 * came; an interface that has yet to be plugged in holds up nobody else. Called by agent/rpc; knows
 * no call.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/network/addr_parse.h"
#include "agent/roots.h"
#include "lib/buf.h"
#include "lib/error.h"
#include "lib/loop.h"
#include "lib/pending.h"

struct jobs;
struct network;

/* timeout_ms: how long an interface is waited for. */
struct network *network_new(struct loop *loop, struct jobs *jobs, const struct roots *roots,
			    uint64_t timeout_ms, struct error *err);

/* No job may be running. NULL is allowed. */
void network_free(struct network *n);

/* err->code is ERROR_OK, or what failed. reply: what the operation says it gives, gone
 * afterwards. */
typedef void net_done_fn(const struct error *err, const struct buf *reply, void *data);

/*
 * Each of these: NULL and err if what is asked for is malformed or cannot be begun; else done is
 * called once, never from inside. What the requests point to is needed only until the function
 * returns.
 */

struct net_address_request {
	/* length: "24"; "" for the whole address */
	const char *address, *length;
};

struct net_interface_request {
	/* that it shall have; "" keeps the one it has */
	const char *name;
	/* by which it is found; "" only if there is a path */
	const char *mac;
	/* PCI path (agent/device/pci.h) where it is or will be; "" for none */
	const char *device_path;
	/* 0: as it is */
	uint64_t mtu;
	/* of these IFF_NOARP counts */
	uint32_t flags;
	const struct net_address_request *addresses;
	size_t n_addresses;
};

/* Finds the interface, waiting for it if need be, gives it name, MTU, flags and exactly these
 * addresses (beside those that the kernel makes itself), and sets it up. NOT_FOUND "Link not
 * found ..." after the timeout; a call that repeats one which failed so does not wait again
 * (absent.h). */
struct pending *network_update_interface(struct network *n, const struct net_interface_request *q,
					 net_done_fn *done, void *data, struct error *err);

struct net_route_request {
	/* "" is the default route */
	const char *destination;
	const char *gateway, *device, *source;
	uint32_t scope, flags, mtu;
	/* where no address tells */
	bool is_v6;
};

/* Adds or replaces routes of the main table: all of them or, on failure, none. reply as of
 * network_list_routes(). */
struct pending *network_update_routes(struct network *n, const struct net_route_request *routes,
				      size_t count, net_done_fn *done, void *data,
				      struct error *err);

struct net_neighbour_request {
	const char *address, *device, *mac;
	/* NUD_*, 0: permanent; NTF_* */
	int32_t state, flags;
};

/* Adds or replaces entries of the neighbour tables, up to the first that fails. */
struct pending *network_add_neighbours(struct network *n, const struct net_neighbour_request *list,
				       size_t count, net_done_fn *done, void *data,
				       struct error *err);

/* reply: interfaces one after the other, each followed by its n_addresses struct net_address. */
struct net_interface_record {
	uint32_t flags, mtu, n_addresses;
	struct net_mac mac;
	char name[IFNAMSIZ], kind[16];
	/* "" if it is no PCI device */
	char device_path[64];
};
struct pending *network_list_interfaces(struct network *n, net_done_fn *done, void *data,
					struct error *err);

/* reply: the unicast routes of the main tables, first IPv4; one record for each next hop. */
struct net_route_record {
	/* len 0: the default route */
	struct net_address destination;
	struct net_address gateway, source;
	uint32_t flags, mtu;
	uint8_t scope;
	char device[IFNAMSIZ];
};
struct pending *network_list_routes(struct network *n, net_done_fn *done, void *data,
				    struct error *err);

/* reply: what iptables-save or ip6tables-save of the guest's image prints. FAILED_PRECONDITION
 * if it has none. */
struct pending *network_get_iptables(struct network *n, bool is_v6, net_done_fn *done, void *data,
				     struct error *err);

/* Hands rules to iptables-restore or ip6tables-restore. reply: what it prints. */
struct pending *network_set_iptables(struct network *n, bool is_v6, const void *rules, size_t size,
				     net_done_fn *done, void *data, struct error *err);
