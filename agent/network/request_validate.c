/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validates requests and converts them to plain data, before anything is changed. Loop side: never
 * blocks and never queries the kernel. Called by network.c.
 */
#include "agent/network/network_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

/* More addresses on an interface are a mistake or an attack: each costs the kernel work for every
 * packet. */
#define ADDRESSES_MAX 1024

static int validate_identity(struct net_interface *i, const struct net_interface_request *q,
			     struct error *err);
static int validate_address(struct net_address *out, const struct net_address_request *q,
			    struct error *err);
static int validate_route(struct net_route *r, const struct net_route_request *q,
			  struct error *err);
static int validate_neighbour(struct net_neighbour *n, const struct net_neighbour_request *q,
			      struct error *err);

static int
validate_name(char out[IFNAMSIZ], const char *name, struct error *err)
{
	if (!net_name_is_valid(name))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid interface name \"%.32s\"",
				 name);
	memcpy(out, name, strlen(name) + 1);
	return 0;
}

int
net_validate_interface(struct net_task *task, const struct net_interface_request *q,
		       struct error *err)
{
	struct net_interface *i = &task->interface;

	if (validate_identity(i, q, err) < 0)
		return error_wrap(err, "failed to update interface %.32s", q->name);
	if (q->mtu > UINT32_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to update interface %s: invalid MTU %llu", q->name,
				 (unsigned long long)q->mtu);
	if (q->n_addresses > ADDRESSES_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "failed to update interface %s: more than %d addresses", q->name,
				 ADDRESSES_MAX);
	i->mtu = (uint32_t)q->mtu;
	i->flags = q->flags;
	i->addresses = calloc(q->n_addresses + 1, sizeof(*i->addresses));
	if (!i->addresses)
		return error_nomem(err, "updating an interface");
	for (i->n_addresses = 0; i->n_addresses < q->n_addresses; i->n_addresses++) {
		if (validate_address(&i->addresses[i->n_addresses], &q->addresses[i->n_addresses],
				     err) < 0)
			return error_wrap(err, "failed to update interface %s", q->name);
	}
	return 0;
}

static int
validate_identity(struct net_interface *i, const struct net_interface_request *q, struct error *err)
{
	if (q->name[0] && validate_name(i->name, q->name, err) < 0)
		return -1;
	if (q->mac[0] && !net_parse_mac(q->mac, &i->mac))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid MAC address \"%.64s\"",
				 q->mac);
	if (q->device_path[0] && pci_path_parse(q->device_path, &i->path, err) < 0)
		return -1;
	i->has_path = q->device_path[0] != '\0';
	if (!i->has_path && i->mac.len == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "neither a MAC address nor a PCI path");
	return 0;
}

static int
validate_address(struct net_address *out, const struct net_address_request *q, struct error *err)
{
	if (!net_parse_address(q->address, out))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid IP address \"%.64s\"",
				 q->address);
	if (q->length[0] && !net_parse_length(q->length, out->family, &out->len))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "address %s: invalid prefix length \"%.16s\"", q->address,
				 q->length);
	return 0;
}

int
net_validate_routes(struct net_task *task, const struct net_route_request *list, size_t count,
		    struct error *err)
{
	task->routes = calloc(count + 1, sizeof(*task->routes));
	if (!task->routes)
		return error_nomem(err, "updating routes");
	for (task->count = 0; task->count < count; task->count++) {
		const struct net_route_request *q = &list[task->count];

		if (validate_route(&task->routes[task->count], q, err) < 0)
			return error_wrap(err, "failed to update routes: route %zu, to \"%.64s\"",
					  task->count, q->destination);
	}
	return 0;
}

/* Parses an address that may be "". */
static int
validate_optional(struct net_address *out, const char *text, const char *what, struct error *err)
{
	if (!text[0] || net_parse_prefix(text, out))
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT, "invalid %s \"%.64s\"", what, text);
}

static bool
validate_is_zero(const struct net_address *a)
{
	static const uint8_t zero[sizeof(a->bytes)];

	return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

/* Returns the family of the addresses, if any. */
static uint8_t
validate_family_of(const struct net_route *r, bool is_v6)
{
	if (r->destination.family)
		return r->destination.family;
	if (r->gateway.family)
		return r->gateway.family;
	if (r->source.family)
		return r->source.family;
	return is_v6 ? AF_INET6 : AF_INET;
}

static int
validate_route_addresses(struct net_route *r, struct error *err)
{
	unsigned int bits = net_address_bits(r->destination.family);

	if (r->source.family && r->source.family != r->destination.family)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "source and destination have different address families");
	if (r->gateway.family == AF_INET && r->destination.family == AF_INET6)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid IPv4 gateway for an IPv6 destination");
	/* Hosts without a prefix length for the source send 0. */
	if (r->source.family && r->source.len == 0 && !validate_is_zero(&r->source))
		r->source.len = (uint8_t)bits;
	if (r->source.family == AF_INET && r->source.len != bits)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid source of an IPv4 route: must be a single address");
	return 0;
}

static int
validate_route(struct net_route *r, const struct net_route_request *q, struct error *err)
{
	if (strcmp(q->destination, "default") != 0 &&
	    validate_optional(&r->destination, q->destination, "destination", err) < 0)
		return -1;
	if (validate_optional(&r->gateway, q->gateway, "gateway", err) < 0 ||
	    validate_optional(&r->source, q->source, "source", err) < 0 ||
	    validate_name(r->device, q->device, err) < 0)
		return -1;
	if (q->scope > UINT8_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid scope %u", q->scope);
	/* Some hosts send "0.0.0.0" for no gateway. */
	if (validate_is_zero(&r->gateway))
		r->gateway.family = AF_UNSPEC;
	r->destination.family = validate_family_of(r, q->is_v6);
	net_mask_prefix(&r->destination);
	r->scope = (uint8_t)q->scope;
	/* Other flags that a host reads from its own routes are state of its kernel. A route
	 * without a gateway is on-link anyway, and the kernel refuses the flag there. */
	r->flags = r->gateway.family ? q->flags & RTNH_F_ONLINK : 0;
	r->mtu = q->mtu;
	return validate_route_addresses(r, err);
}

int
net_validate_neighbours(struct net_task *task, const struct net_neighbour_request *list,
			size_t count, struct error *err)
{
	task->neighbours = calloc(count + 1, sizeof(*task->neighbours));
	if (!task->neighbours)
		return error_nomem(err, "adding neighbours");
	for (task->count = 0; task->count < count; task->count++) {
		if (validate_neighbour(&task->neighbours[task->count], &list[task->count], err) < 0)
			return error_wrap(err, "failed to add neighbour %zu", task->count);
	}
	return 0;
}

static int
validate_neighbour(struct net_neighbour *n, const struct net_neighbour_request *q,
		   struct error *err)
{
	if (!net_parse_prefix(q->address, &n->address))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid IP address \"%.64s\"",
				 q->address);
	if (validate_name(n->device, q->device, err) < 0)
		return -1;
	if (q->mac[0] && !net_parse_mac(q->mac, &n->mac))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid MAC address \"%.64s\"",
				 q->mac);
	if (q->state < 0 || q->state > UINT16_MAX || q->flags < 0 || q->flags > UINT8_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid state %d or flags %d",
				 q->state, q->flags);
	n->state = q->state ? (uint16_t)q->state : NUD_PERMANENT;
	n->flags = (uint8_t)q->flags;
	return 0;
}

int
net_validate_rules(struct net_task *task, const void *rules, size_t size, struct error *err)
{
	if (size > 0 && memchr(rules, '\0', size))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "failed to set the iptables rules: they contain a NUL byte");
	task->rules = malloc(size + 1);
	if (!task->rules)
		return error_nomem(err, "setting the iptables rules");
	if (size > 0)
		memcpy(task->rules, rules, size);
	task->rules[size] = '\0';
	return 0;
}

void
net_task_release(struct net_task *task)
{
	free(task->interface.addresses);
	free(task->routes);
	free(task->neighbours);
	free(task->rules);
	*task = (struct net_task){ 0 };
}
