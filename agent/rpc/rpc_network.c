/* SPDX-License-Identifier: Apache-2.0 */
/* The network calls: converts messages to requests of agent/network/network.h, and its records to
 * messages. */
#include <string.h>
#include <sys/socket.h>

#include "agent.pb-c.h"
#include "agent/agent.h"
#include "agent/network/network.h"
#include "agent/rpc/rpc.h"
#include "agent/server/call.h"
#include "lib/parse.h"
#include "types.pb-c.h"

/* Allocates an initialised message in the arena; NULL if out of memory. */
#define NEW(arena, init, type)                                   \
	({                                                       \
		type *new_ = arena_alloc((arena), sizeof(type)); \
		if (new_)                                        \
			init(new_);                              \
		new_;                                            \
	})

static void interfaces_done(const struct error *err, const struct buf *reply, void *data);
static bool fill_interfaces(struct arena *a, const struct buf *reply, Grpc__Interfaces *to);
static Types__Interface *new_interface(struct arena *a, const struct net_interface_record *from,
				       const uint8_t *addresses);
static void routes_updated(const struct error *err, const struct buf *reply, void *data);
static bool fill_routes(struct arena *a, const struct buf *reply, Grpc__Routes *to);
static Types__Route *new_route(struct arena *a, const struct net_route_record *from);
static void routes_done(const struct error *err, const struct buf *reply, void *data);
static void text_done(const struct error *err, const struct buf *reply, void *data);

/* Ends a call: sends its reply, or an error if the call failed or its reply is not complete. */
static void
network_finish(struct call *call, const struct error *err, bool is_complete)
{
	struct error why = *err;

	if (why.code == ERROR_OK && !is_complete)
		error_set(&why, ERROR_RESOURCE_EXHAUSTED, "the reply is too large");
	if (why.code == ERROR_OK)
		call_reply(call);
	else
		call_fail(call, &why);
}

static void
network_op_done(const struct error *err, const struct buf *reply, void *data)
{
	(void)reply;
	network_finish(data, err, true);
}

/* Copies a name given by the guest's kernel as valid UTF-8, since hosts cannot decode other
 * strings. */
static char *
name_of(struct arena *a, const char *name)
{
	char *copy = arena_strdup(a, name);

	for (char *c = copy; c && *c && !utf8_is_valid(copy, strlen(copy)); c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return copy;
}

/* ---- interfaces ---- */

static enum rpc_outcome
update_interface(struct call *call, const void *request, void *response, struct error *err)
{
	const Types__Interface *i = ((const Grpc__UpdateInterfaceRequest *)request)->interface;
	struct net_interface_request q = { 0 };
	struct net_address_request *addresses;

	if (!i) {
		error_set(err, ERROR_INVALID_ARGUMENT, "UpdateInterface without an interface");
		return RPC_FAILED;
	}
	addresses = arena_zalloc(call_arena(call), i->n_ipaddresses + 1, sizeof(*addresses));
	if (!addresses) {
		error_nomem(err, "updating an interface");
		return RPC_FAILED;
	}
	for (size_t k = 0; k < i->n_ipaddresses; k++)
		addresses[k] = (struct net_address_request){ i->ipaddresses[k]->address,
							     i->ipaddresses[k]->mask };
	q = (struct net_interface_request){
		.name = i->name,
		.mac = i->hwaddr,
		.device_path = i->devicepath,
		.mtu = i->mtu,
		.flags = i->raw_flags,
		.addresses = addresses,
		.n_addresses = i->n_ipaddresses,
	};
	/* The request is echoed as the reply. */
	memcpy(response, i, sizeof(*i));
	((ProtobufCMessage *)response)->n_unknown_fields = 0;
	return call_park(call, network_update_interface(call_agent(call)->network, &q,
							network_op_done, call, err));
}

static enum rpc_outcome
list_interfaces(struct call *call, const void *request, void *response, struct error *err)
{
	(void)request;
	(void)response;
	return call_park(call, network_list_interfaces(call_agent(call)->network, interfaces_done,
						       call, err));
}

static void
interfaces_done(const struct error *err, const struct buf *reply, void *data)
{
	struct call *call = data;

	network_finish(call, err,
		       err->code != ERROR_OK ||
			       fill_interfaces(call_arena(call), reply, call_response(call)));
}

/* Reads the record at *at and advances *at past its addresses. Returns false at the end. */
static bool
next_interface(const struct buf *reply, size_t *at, struct net_interface_record *record,
	       const uint8_t **addresses)
{
	size_t left = buf_len(reply) - *at, size;

	if (left < sizeof(*record))
		return false;
	memcpy(record, buf_head(reply) + *at, sizeof(*record));
	size = sizeof(*record) + record->n_addresses * sizeof(struct net_address);
	if (left < size)
		return false;
	*addresses = buf_head(reply) + *at + sizeof(*record);
	*at += size;
	return true;
}

static bool
fill_interfaces(struct arena *a, const struct buf *reply, Grpc__Interfaces *to)
{
	struct net_interface_record record;
	const uint8_t *addresses;
	size_t n = 0;

	for (size_t at = 0; next_interface(reply, &at, &record, &addresses);)
		n++;
	to->interfaces = arena_zalloc(a, n + 1, sizeof(*to->interfaces));
	if (!to->interfaces)
		return false;
	for (size_t at = 0; next_interface(reply, &at, &record, &addresses);) {
		Types__Interface *new = new_interface(a, &record, addresses);

		if (!new)
			return false;
		to->interfaces[to->n_interfaces++] = new;
	}
	return true;
}

static Types__IPAddress *
new_address(struct arena *a, const struct net_address *from)
{
	Types__IPAddress *to = NEW(a, types__ipaddress__init, Types__IPAddress);
	char text[NET_ADDRESS_TEXT];

	if (!to)
		return NULL;
	to->family = from->family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
	to->address = arena_strdup(a, net_format_address(from, text));
	to->mask = arena_printf(a, "%u", from->len);
	return to->address && to->mask ? to : NULL;
}

/* `addresses` points to consecutive, unaligned records. */
static Types__Interface *
new_interface(struct arena *a, const struct net_interface_record *from, const uint8_t *addresses)
{
	Types__Interface *to = NEW(a, types__interface__init, Types__Interface);
	char text[NET_MAC_TEXT];

	if (!to)
		return NULL;
	to->name = to->device = name_of(a, from->name);
	to->hwaddr = arena_strdup(a, net_format_mac(&from->mac, text));
	to->type = arena_strdup(a, from->kind);
	to->devicepath = arena_strdup(a, from->device_path);
	to->mtu = from->mtu;
	to->raw_flags = from->flags;
	to->ipaddresses = arena_zalloc(a, from->n_addresses + 1u, sizeof(*to->ipaddresses));
	if (!to->name || !to->hwaddr || !to->type || !to->devicepath || !to->ipaddresses)
		return NULL;
	while (to->n_ipaddresses < from->n_addresses) {
		struct net_address address;
		Types__IPAddress *new;

		memcpy(&address, addresses + to->n_ipaddresses * sizeof(address), sizeof(address));
		new = new_address(a, &address);
		if (!new)
			return NULL;
		to->ipaddresses[to->n_ipaddresses++] = new;
	}
	return to;
}

/* ---- routes ---- */

static enum rpc_outcome
update_routes(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__Routes *routes = ((const Grpc__UpdateRoutesRequest *)request)->routes;
	struct net_route_request *list;

	(void)response;
	if (!routes) {
		error_set(err, ERROR_INVALID_ARGUMENT, "UpdateRoutes without routes");
		return RPC_FAILED;
	}
	list = arena_zalloc(call_arena(call), routes->n_routes + 1, sizeof(*list));
	if (!list) {
		error_nomem(err, "updating routes");
		return RPC_FAILED;
	}
	for (size_t i = 0; i < routes->n_routes; i++) {
		const Types__Route *from = routes->routes[i];

		list[i] = (struct net_route_request){
			.destination = from->dest,
			.gateway = from->gateway,
			.device = from->device,
			.source = from->source,
			.scope = from->scope,
			.flags = from->flags,
			.mtu = from->mtu,
			.is_v6 = from->family == TYPES__IPFAMILY__v6,
		};
	}
	return call_park(call, network_update_routes(call_agent(call)->network, list,
						     routes->n_routes, routes_updated, call, err));
}

/* A change that was made does not fail because the reply with the result is too large. */
static void
routes_updated(const struct error *err, const struct buf *reply, void *data)
{
	struct call *call = data;
	Grpc__Routes *to = call_response(call);

	if (err->code == ERROR_OK && !fill_routes(call_arena(call), reply, to))
		to->n_routes = 0;
	network_finish(call, err, true);
}

static bool
fill_routes(struct arena *a, const struct buf *reply, Grpc__Routes *to)
{
	size_t n = buf_len(reply) / sizeof(struct net_route_record);

	to->routes = arena_zalloc(a, n + 1, sizeof(*to->routes));
	while (to->routes && to->n_routes < n) {
		struct net_route_record record;
		Types__Route *new;

		memcpy(&record, buf_head(reply) + to->n_routes * sizeof(record), sizeof(record));
		new = new_route(a, &record);
		if (!new)
			return false;
		to->routes[to->n_routes++] = new;
	}
	return to->routes != NULL;
}

static Types__Route *
new_route(struct arena *a, const struct net_route_record *from)
{
	Types__Route *to = NEW(a, types__route__init, Types__Route);
	const unsigned int bits = from->source.family == AF_INET6 ? 128 : 32;
	char text[NET_ADDRESS_TEXT];

	if (!to)
		return NULL;
	to->family =
		from->destination.family == AF_INET6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
	/* Empty means the default route, as in requests. */
	to->dest = arena_strdup(
		a, from->destination.len ? net_format_prefix(&from->destination, text) : "");
	to->gateway = arena_strdup(a, net_format_address(&from->gateway, text));
	to->source =
		arena_strdup(a, from->source.len == bits ? net_format_address(&from->source, text)
							 : net_format_prefix(&from->source, text));
	to->device = name_of(a, from->device);
	to->scope = from->scope;
	to->flags = from->flags;
	to->mtu = from->mtu;
	return to->dest && to->gateway && to->source && to->device ? to : NULL;
}

static enum rpc_outcome
list_routes(struct call *call, const void *request, void *response, struct error *err)
{
	(void)request;
	(void)response;
	return call_park(call,
			 network_list_routes(call_agent(call)->network, routes_done, call, err));
}

static void
routes_done(const struct error *err, const struct buf *reply, void *data)
{
	struct call *call = data;

	network_finish(call, err,
		       err->code != ERROR_OK ||
			       fill_routes(call_arena(call), reply, call_response(call)));
}

/* ---- neighbours ---- */

static enum rpc_outcome
add_arp_neighbors(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__ARPNeighbors *from = ((const Grpc__AddARPNeighborsRequest *)request)->neighbors;
	struct net_neighbour_request *list;

	(void)response;
	if (!from) {
		error_set(err, ERROR_INVALID_ARGUMENT, "AddARPNeighbors without neighbors");
		return RPC_FAILED;
	}
	list = arena_zalloc(call_arena(call), from->n_arpneighbors + 1, sizeof(*list));
	if (!list) {
		error_nomem(err, "adding neighbours");
		return RPC_FAILED;
	}
	for (size_t i = 0; i < from->n_arpneighbors; i++) {
		const Types__ARPNeighbor *n = from->arpneighbors[i];

		list[i] = (struct net_neighbour_request){
			.address = n->toipaddress ? n->toipaddress->address : "",
			.device = n->device,
			.mac = n->lladdr,
			.state = n->state,
			.flags = n->flags,
		};
	}
	return call_park(call,
			 network_add_neighbours(call_agent(call)->network, list,
						from->n_arpneighbors, network_op_done, call, err));
}

/* ---- iptables ---- */

static enum rpc_outcome
get_iptables(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__GetIPTablesRequest *q = request;

	(void)response;
	return call_park(call, network_get_iptables(call_agent(call)->network, q->is_ipv6,
						    text_done, call, err));
}

/* Ends GetIPTables and SetIPTables, whose response messages have the same layout. */
static void
text_done(const struct error *err, const struct buf *reply, void *data)
{
	struct call *call = data;
	Grpc__GetIPTablesResponse *to = call_response(call);

	if (err->code == ERROR_OK && buf_len(reply) > 0) {
		to->data.data = arena_memdup(call_arena(call), buf_head(reply), buf_len(reply));
		to->data.len = to->data.data ? buf_len(reply) : 0;
	}
	network_finish(call, err, err->code != ERROR_OK || to->data.len == buf_len(reply));
}

_Static_assert(sizeof(Grpc__SetIPTablesResponse) == sizeof(Grpc__GetIPTablesResponse),
	       "text_done() serves both");

static enum rpc_outcome
set_iptables(struct call *call, const void *request, void *response, struct error *err)
{
	const Grpc__SetIPTablesRequest *q = request;

	(void)response;
	return call_park(call,
			 network_set_iptables(call_agent(call)->network, q->is_ipv6, q->data.data,
					      q->data.len, text_done, call, err));
}

/* Hosts make these calls before CreateSandbox. */
static const struct rpc_method methods[] = {
	{ "UpdateInterface", update_interface, 0 },  { "ListInterfaces", list_interfaces, 0 },
	{ "UpdateRoutes", update_routes, 0 },        { "ListRoutes", list_routes, 0 },
	{ "AddARPNeighbors", add_arp_neighbors, 0 }, { "GetIPTables", get_iptables, 0 },
	{ "SetIPTables", set_iptables, 0 },
};
const struct rpc_area rpc_network = RPC_AREA(methods);
