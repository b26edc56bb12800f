/* SPDX-License-Identifier: Apache-2.0 */
/* See net.h. */
#include "tests/rpc/net.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

static char *
str(const char *s)
{
	return (char *)(uintptr_t)s;
}

void
make_interface(struct interface *to, const struct wanted *w)
{
	char *save = NULL;

	grpc__update_interface_request__init(&to->q);
	types__interface__init(&to->i);
	to->q.interface = &to->i;
	to->i.name = to->i.device = str(w->name);
	to->i.hwaddr = str(w->mac);
	to->i.devicepath = str(w->path ? w->path : "");
	to->i.mtu = w->mtu;
	to->i.raw_flags = w->flags;
	to->i.ipaddresses = to->list;
	(void)snprintf(to->text, sizeof(to->text), "%s", w->addresses ? w->addresses : "");
	for (char *a = strtok_r(to->text, " ", &save); a && to->i.n_ipaddresses < ADDRESSES_MAX;
	     a = strtok_r(NULL, " ", &save)) {
		Types__IPAddress *address = &to->address[to->i.n_ipaddresses];
		char *slash = strchr(a, '/');

		types__ipaddress__init(address);
		address->family = strchr(a, ':') ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
		address->address = a;
		if (slash) {
			*slash = '\0';
			address->mask = slash + 1;
		}
		to->list[to->i.n_ipaddresses++] = address;
	}
}

int
update_interface(struct harness *h, const struct wanted *w, struct error *err)
{
	struct interface *i = calloc(1, sizeof(*i));
	ProtobufCMessage *reply = NULL;
	int r;

	*err = ERROR_INIT;
	make_interface(i, w);
	r = call(h, "UpdateInterface", &i->q, &reply, err);
	if (reply) {
		CHECK(strcmp(((Types__Interface *)reply)->name, w->name) == 0 &&
			      ((Types__Interface *)reply)->n_ipaddresses == i->i.n_ipaddresses,
		      "the reply is not what was asked for");
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	free(i);
	return r;
}

#define ROUTES_MAX 16

int
update_routes(struct harness *h, const struct route *list, size_t n, struct error *err)
{
	Grpc__UpdateRoutesRequest q = GRPC__UPDATE_ROUTES_REQUEST__INIT;
	Grpc__Routes routes = GRPC__ROUTES__INIT;
	Types__Route route[ROUTES_MAX], *pointers[ROUTES_MAX];
	ProtobufCMessage *reply = NULL;
	int r;

	*err = ERROR_INIT;
	q.routes = &routes;
	routes.routes = pointers;
	for (size_t i = 0; i < n; i++) {
		pointers[i] = &route[i];
		types__route__init(&route[i]);
		route[i].dest = str(list[i].dest);
		route[i].gateway = str(list[i].gateway ? list[i].gateway : "");
		route[i].device = str(list[i].device);
		route[i].source = str(list[i].source ? list[i].source : "");
		route[i].scope = list[i].scope;
		route[i].flags = list[i].flags;
		route[i].mtu = list[i].mtu;
		route[i].family = list[i].is_v6 ? TYPES__IPFAMILY__v6 : TYPES__IPFAMILY__v4;
	}
	routes.n_routes = n;
	if (call(h, "UpdateRoutes", &q, &reply, err) < 0)
		return -1;
	r = (int)((Grpc__Routes *)reply)->n_routes;
	protobuf_c_message_free_unpacked(reply, NULL);
	return r;
}

void
has(enum mnl_what what, const char *line)
{
	static char all[1 << 16];

	if (mnl_has(what, line))
		return;
	(void)mnl_read(what, all, sizeof(all));
	CHECK(false, "no \"%s\" in:\n%s", line, all);
}

/* The agent may have renamed the links. "lo" and links added by the kernel cannot be removed. */
void
remove_links(void)
{
	struct if_nameindex *links = if_nameindex();

	for (const struct if_nameindex *l = links; l && l->if_index != 0; l++)
		(void)mnl_remove_link(l->if_name);
	if (links)
		if_freenameindex(links);
}

void
make_eth0(struct harness *h)
{
	struct error err = ERROR_INIT;

	CHECK_EQ(mnl_add_link("net0", 1), 0, "no link can be made");
	CHECK_OK(update_interface(h,
				  &(struct wanted){ .mac = "02:00:00:00:00:01",
						    .name = "eth0",
						    .addresses = "10.0.0.2/24 fd00::2/64" },
				  &err),
		 &err);
}
