/* SPDX-License-Identifier: Apache-2.0 */
/* The table of device types, and the search for the devices of a container. */
#include "agent/device/handlers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/bus.h"
#include "agent/device/search.h"
#include "agent/device/vfio.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"

/* Of one device. */
#define OPTIONS_MAX VFIO_FUNCTIONS_MAX

/* Types whose options name what was plugged in. Disks are all other types, one for each bus of
 * bus.c. */
static const struct device_type {
	const char *name;
	/* The kind of address in an option. */
	const struct device_kind *kind;
	/* Options are "DDDD:BB:SS.F=PATH": the function's address on the host, its path in the
	 * guest. */
	bool is_pair;
	/* The functions get the driver vfio-pci; the node is that of their group. */
	bool binds;
	/* Another node that the container gets, or NULL. */
	const char *node;
} types[] = {
	{ .name = "vfio-ap", .kind = &device_ap, .node = "/dev/z90crypt" },
	{ .name = "vfio-ap-cold", .kind = &device_ap, .node = "/dev/z90crypt" },
	{ .name = "vfio-pci", .kind = &device_pci_function, .is_pair = true, .binds = true },
	{ .name = "vfio-pci-gk", .kind = &device_pci_function, .is_pair = true },
};

struct item {
	const struct device_request *request;
	/* NULL: a disk. */
	const struct device_type *type;
	/* Its addresses: that many, from this one on. */
	size_t first, n;
	struct device_result result;
};

struct device_set {
	struct device_watch *watch;
	device_set_fn *done;
	void *data;
	struct device_address *addresses;
	struct device_search *search;
	/* The current job or search for a node, or NULL. */
	struct pending *step;
	/* Reports that there is nothing to look for. */
	struct post nothing;
	/* items[0..at) are available. */
	size_t n, at;
	struct item items[];
};

static const struct device_type *
type_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

const char *
device_type_name(size_t i)
{
	const struct device_bus *bus;

	if (i < ARRAY_LEN(types))
		return types[i].name;
	bus = device_bus(i - ARRAY_LEN(types));
	return bus ? bus->name : NULL;
}

/* ---- addresses ---- */

/* Parses an option of a type. Returns 1, 0 if it names nothing in the guest, or -1 and err. */
static int
parse_option(const struct device_type *type, const char *option, struct device_address *out,
	     struct error *err)
{
	const char *path = option + PCI_NAME_LENGTH + 1;

	if (!type->is_pair)
		return device_address_parse(type->kind, option, out, err) < 0 ? -1 : 1;
	if (!pci_is_name(option) || option[PCI_NAME_LENGTH] != '=')
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid option \"%.64s\": expected DDDD:BB:SS.F=<PCI path>",
				 option);
	if (!*path)
		return 0;
	return device_address_parse(type->kind, path, out, err) < 0 ? -1 : 1;
}

/* Returns a disk's address: in the field that hosts use for its type, or in the other one. */
static const char *
disk_location(const struct device_bus *bus, const struct device_request *r)
{
	const char *first = bus->by_id ? r->id : r->vm_path;

	return *first ? first : bus->by_id ? r->vm_path : r->id;
}

/* Parses the addresses of a request. Returns their number, or -1 and err. */
static int
request_addresses(const struct device_request *r, struct device_address out[OPTIONS_MAX],
		  struct error *err)
{
	const struct device_bus *bus = device_bus_find(r->type);
	const struct device_type *type = type_find(r->type);
	int n = 0;

	if (bus)
		return device_bus_parse(bus, disk_location(bus, r), out, err) < 0 ? -1 : 1;
	if (r->n_options > OPTIONS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d options",
				 OPTIONS_MAX);
	for (size_t i = 0; i < r->n_options; i++) {
		int got = parse_option(type, r->options[i], &out[n], err);

		if (got < 0)
			return -1;
		if (got == 0)
			log_warn("device", "device %s: nothing in the guest for option \"%s\"",
				 r->container_path, r->options[i]);
		n += got;
	}
	if (type->binds && n == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "no option names a PCI function of the guest");
	return n;
}

int
device_request_check(const struct device_request *r, struct error *err)
{
	struct device_address ignored[OPTIONS_MAX];

	if (!*r->type)
		return error_set(err, ERROR_INVALID_ARGUMENT, "device %.128s has no type", r->id);
	if (!device_bus_find(r->type) && !type_find(r->type))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "device %.128s: " TEXT_NO_DEVICE_HANDLER " %.64s", r->id, r->type);
	if (!*r->id && !*r->vm_path)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "device of type %s has neither id nor vm_path", r->type);
	if (!*r->container_path)
		return error_set(err, ERROR_INVALID_ARGUMENT, "device %.128s has no container_path",
				 *r->id ? r->id : r->vm_path);
	if (request_addresses(r, ignored, err) < 0)
		return error_wrap(err, "device %.128s", r->container_path);
	return 0;
}

/* ---- the search ---- */

static void
set_finish(struct device_set *s, const struct error *err)
{
	struct error copy = *err;

	if (err->code != ERROR_OK && s->at < s->n)
		error_wrap(&copy, "device %.128s", s->items[s->at].request->container_path);
	s->done(&copy, s->data);
}

static void set_advance(struct device_set *s);

static void
on_group(const struct error *err, const char *name, void *data)
{
	struct device_set *s = data;
	struct item *item = &s->items[s->at];

	s->step = NULL;
	if (!name) {
		set_finish(s, err);
		return;
	}
	(void)snprintf(item->result.node, sizeof(item->result.node), "/dev/%.*s",
		       DEVICE_NODE_MAX - 6, name);
	item->result.is_renamed = true;
	s->at++;
	set_advance(s);
}

static void
on_bound(const struct error *err, uint32_t number, void *data)
{
	struct device_set *s = data;
	struct device_address group;
	struct error why = *err;
	char text[16];

	s->step = NULL;
	if (err->code == ERROR_OK) {
		(void)snprintf(text, sizeof(text), "%" PRIu32, number);
		if (device_address_parse(&device_vfio_group, text, &group, &why) == 0)
			s->step = device_find(s->watch, &group, on_group, s, &why);
	}
	if (!s->step)
		set_finish(s, &why);
}

/* Starts the job that gives the functions of a device to VFIO. */
static int
set_bind(struct device_set *s, const struct item *item, struct error *err)
{
	struct vfio_functions functions = { .n = item->n };

	for (size_t i = 0; i < item->n; i++)
		(void)snprintf(functions.name[i], sizeof(functions.name[i]), "%.15s",
			       device_search_node(s->search, item->first + i));
	s->step = vfio_bind(s->watch, &functions, on_bound, s, err);
	return s->step ? 0 : -1;
}

/* Makes one device after the other available. */
static void
set_advance(struct device_set *s)
{
	struct error err = ERROR_INIT;

	for (; s->at < s->n; s->at++) {
		struct item *item = &s->items[s->at];
		const char *node =
			item->type ? item->type->node : device_search_node(s->search, item->first);

		if (item->type && item->type->binds) {
			if (set_bind(s, item, &err) < 0)
				set_finish(s, &err);
			return;
		}
		if (node)
			(void)snprintf(item->result.node, sizeof(item->result.node), "%s", node);
		item->result.is_renamed = item->type && node;
	}
	set_finish(s, &err);
}

static void
on_nothing(void *data)
{
	set_advance(data);
}

static void
on_searched(const struct error *err, void *data)
{
	struct device_set *s = data;

	if (err->code == ERROR_OK)
		set_advance(s);
	else
		s->done(err, s->data);
}

struct device_set *
device_set_find(struct device_watch *w, const struct device_request *requests, size_t n,
		device_set_fn *done, void *data, struct error *err)
{
	struct device_set *s = calloc(1, sizeof(*s) + n * sizeof(s->items[0]));
	size_t n_addresses = 0;

	if (s)
		s->addresses = calloc(n * OPTIONS_MAX, sizeof(*s->addresses));
	if (!s || !s->addresses) {
		free(s);
		error_nomem(err, "searching for devices");
		return NULL;
	}
	s->watch = w;
	s->n = n;
	s->done = done;
	s->data = data;
	post_init(&s->nothing, on_nothing, s);
	for (size_t i = 0; i < n; i++) {
		int got = request_addresses(&requests[i], s->addresses + n_addresses, err);

		if (got < 0)
			goto failed;
		s->items[i] = (struct item){ .request = &requests[i],
					     .type = type_find(requests[i].type),
					     .first = n_addresses,
					     .n = (size_t)got };
		n_addresses += (size_t)got;
	}
	if (n_addresses == 0) {
		loop_post(device_watch_loop(w), &s->nothing);
		return s;
	}
	s->search = device_search_start(w, s->addresses, n_addresses, on_searched, s, err);
	if (s->search)
		return s;
failed:
	device_set_free(s);
	return NULL;
}

const struct device_result *
device_set_result(const struct device_set *s, size_t i)
{
	return &s->items[i].result;
}

size_t
device_set_functions(const struct device_set *s, struct pci_pair *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct item *item = &s->items[i];
		size_t at = item->first;

		if (!item->type || !item->type->is_pair)
			continue;
		for (size_t k = 0; k < item->request->n_options && n < max; k++) {
			const char *option = item->request->options[k];
			bool is_known = option[PCI_NAME_LENGTH + 1] != '\0';
			const char *guest = is_known ? device_search_node(s->search, at++) : "";

			out[n] = (struct pci_pair){ .guest = "" };
			memcpy(out[n].host, option, PCI_NAME_LENGTH);
			/* A longer address, in a domain over ffff, does not fit in a variable. */
			if (strlen(guest) == PCI_NAME_LENGTH)
				memcpy(out[n].guest, guest, PCI_NAME_LENGTH);
			n++;
		}
	}
	return n;
}

void
device_set_free(struct device_set *s)
{
	if (!s)
		return;
	pending_cancel(&s->step);
	post_cancel(&s->nothing);
	device_search_free(s->search);
	free(s->addresses);
	free(s);
}
