/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces, routes, neighbours and packet filter of the guest. Loop side: never blocks, workers
 * do the work. Modifying operations run one at a time in order of arrival; an interface that is not
 * plugged in yet does not delay others. Called by agent/rpc; independent of its messages.
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

/* Creates the module. timeout_ms: how long an operation waits for its interface. */
struct network *network_new(struct loop *loop, struct jobs *jobs, const struct roots *roots,
			    uint64_t timeout_ms, struct error *err);

/* Frees n (may be NULL). No job may be running. */
void network_free(struct network *n);

/* err->code is ERROR_OK, or err says what failed. reply: as documented by the operation; valid
 * during the call only. */
typedef void net_done_fn(const struct error *err, const struct buf *reply, void *data);

/*
 * Each of these returns NULL and err if the request is invalid or cannot be started. Otherwise done
 * is called once, never from inside. The memory that a request points to is needed only until the
 * function returns.
 */

struct net_address_request {
	/* length: "24"; "" for the whole address. */
	const char *address, *length;
};

struct net_interface_request {
	/* The requested name; "" keeps the current one. */
	const char *name;
	/* Identifies the interface; "" only if there is a path. */
	const char *mac;
	/* PCI path (agent/device/pci.h) of the interface, present or not yet; "" for none. */
	const char *device_path;
	/* 0: unchanged. */
	uint64_t mtu;
	/* Only IFF_NOARP is used. */
	uint32_t flags;
	const struct net_address_request *addresses;
	size_t n_addresses;
};

/* Finds the interface, waiting for it if needed, sets name, MTU, flags and exactly these addresses
 * (in addition to those that the kernel makes), and sets it up. NOT_FOUND "Link not found ..."
 * after the timeout; a retry after that does not wait again (absent.h). */
struct pending *network_update_interface(struct network *n, const struct net_interface_request *q,
					 net_done_fn *done, void *data, struct error *err);

struct net_route_request {
	/* "": the default route. */
	const char *destination;
	const char *gateway, *device, *source;
	uint32_t scope, flags, mtu;
	/* Decides if no address does. */
	bool is_v6;
};

/* Adds or replaces routes of the main table: all of them or, on failure, none. reply: as of
 * network_list_routes(). */
struct pending *network_update_routes(struct network *n, const struct net_route_request *routes,
				      size_t count, net_done_fn *done, void *data,
				      struct error *err);

struct net_neighbour_request {
	const char *address, *device, *mac;
	/* NUD_*, 0: permanent; NTF_* */
	int32_t state, flags;
};

/* Adds or replaces entries of the neighbour tables, up to the first failure. */
struct pending *network_add_neighbours(struct network *n, const struct net_neighbour_request *list,
				       size_t count, net_done_fn *done, void *data,
				       struct error *err);

/* reply: the interfaces in a row, each followed by its n_addresses struct net_address. */
struct net_interface_record {
	uint32_t flags, mtu, n_addresses;
	struct net_mac mac;
	char name[IFNAMSIZ], kind[16];
	/* "" if it is not a PCI device. */
	char device_path[64];
};
struct pending *network_list_interfaces(struct network *n, net_done_fn *done, void *data,
					struct error *err);

/* reply: the unicast routes of the main tables, IPv4 first; one record for each next hop. */
struct net_route_record {
	/* len 0: the default route. */
	struct net_address destination;
	struct net_address gateway, source;
	uint32_t flags, mtu;
	uint8_t scope;
	char device[IFNAMSIZ];
};
struct pending *network_list_routes(struct network *n, net_done_fn *done, void *data,
				    struct error *err);

/* reply: the output of the guest image's iptables-save or ip6tables-save. FAILED_PRECONDITION if it
 * has none. */
struct pending *network_get_iptables(struct network *n, bool is_v6, net_done_fn *done, void *data,
				     struct error *err);

/* Passes rules to iptables-restore or ip6tables-restore. reply: its output. */
struct pending *network_set_iptables(struct network *n, bool is_v6, const void *rules, size_t size,
				     net_done_fn *done, void *data, struct error *err);
