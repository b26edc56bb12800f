/* SPDX-License-Identifier: Apache-2.0 */
/* Configuring the network card of a VM; see network.h. */
#include "ctl/spec/network.h"

#include <string.h>

#include "lib/cleanup.h"
#include "lib/ttrpc/client.h"

static char *
network_text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static int
network_call(struct ttrpc_client *client, const struct vm_options *vm, const char *method,
	     const ProtobufCMessage *request, struct error *err)
{
	if (ttrpc_client_call(client, &grpc__agent_service__descriptor, method, request,
			      vm->call_timeout_ms, NULL, err) < 0)
		return error_wrap(err, "failed to configure the network card: %s", method);
	return 0;
}

int
network_configure(struct ttrpc_client *client, const struct vm_options *vm, struct error *err)
{
	Types__IPAddress v4 = TYPES__IPADDRESS__INIT, v6 = TYPES__IPADDRESS__INIT;
	Types__IPAddress *addresses[] = { &v4, &v6 };
	Types__Interface interface = TYPES__INTERFACE__INIT;
	Grpc__UpdateInterfaceRequest update = GRPC__UPDATE_INTERFACE_REQUEST__INIT;
	Types__Route route4 = TYPES__ROUTE__INIT, route6 = TYPES__ROUTE__INIT;
	Types__Route *list[] = { &route4, &route6 };
	Grpc__Routes all = GRPC__ROUTES__INIT;
	Grpc__UpdateRoutesRequest routes = GRPC__UPDATE_ROUTES_REQUEST__INIT;

	if (!vm->nic || !vm->configure_nic)
		return 0;
	v4.address = network_text(VM_ADDRESS);
	v4.mask = network_text("24");
	v6.family = TYPES__IPFAMILY__v6;
	v6.address = network_text(VM_ADDRESS6);
	v6.mask = network_text("64");
	interface.device = interface.name = network_text("eth0");
	interface.ipaddresses = addresses;
	interface.n_ipaddresses = ARRAY_LEN(addresses);
	interface.mtu = 1500;
	interface.hwaddr = network_text(VM_MAC);
	interface.type = network_text("veth");
	update.interface = &interface;
	route4.gateway = network_text(VM_GATEWAY);
	route4.device = route6.device = interface.name;
	route6.gateway = network_text(VM_GATEWAY6);
	route6.family = TYPES__IPFAMILY__v6;
	all.routes = list;
	all.n_routes = ARRAY_LEN(list);
	routes.routes = &all;
	if (network_call(client, vm, "UpdateInterface", &update.base, err) < 0)
		return -1;
	return network_call(client, vm, "UpdateRoutes", &routes.base, err);
}

int
network_add_dns(struct arena *a, const struct vm_options *vm, Grpc__CreateSandboxRequest *r)
{
	if (!vm->nic || !vm->configure_nic || r->n_dns > 0)
		return 0;
	r->dns = arena_zalloc(a, 1, sizeof(*r->dns));
	if (!r->dns)
		return -1;
	r->dns[0] = arena_strdup(a, "nameserver " VM_DNS);
	r->n_dns = r->dns[0] != NULL;
	return r->dns[0] ? 0 : -1;
}

int
network_add_resolv_conf(struct arena *a, const struct vm_options *vm, Grpc__Spec *spec)
{
	static const char *const options[] = { "rbind", "rprivate", "ro" };
	Grpc__Mount *mount, **mounts;

	if (!vm->nic || !vm->configure_nic)
		return 0;
	mount = arena_alloc(a, sizeof(*mount));
	mounts = arena_zalloc(a, spec->n_mounts + 1, sizeof(*mounts));
	if (!mount || !mounts)
		return -1;
	grpc__mount__init(mount);
	mount->destination = network_text("/etc/resolv.conf");
	mount->type = network_text("bind");
	mount->source = network_text(NETWORK_RESOLV_CONF);
	mount->options = (char **)(uintptr_t)options;
	mount->n_options = ARRAY_LEN(options);
	memcpy(mounts, spec->mounts, spec->n_mounts * sizeof(*mounts));
	mounts[spec->n_mounts++] = mount;
	spec->mounts = mounts;
	return 0;
}
