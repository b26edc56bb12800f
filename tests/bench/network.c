/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many interfaces and routes, on an agent that runs natively: each row's baseline is half as many,
 * so a ratio of 2 is linear growth. Prints rows (rows.h). Started by tests/bench/run;
 * AGENT names the agent.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/loop.h"
#include "tests/bench/rows.h"
#include "tests/rpc/harness.h"
#include "tests/rpc/mnl.h"
#include "types.pb-c.h"

#define INTERFACES 200
#define ROUTES     5000
#define LISTINGS   50

/* Results for one size. */
struct figures {
	/* of CPU time, workers included */
	double update_ms, list_ms;
	/* growth of the agent's memory; routes only */
	double peak_kib;
	/* size of the list */
	double bytes;
};

/* Returns the CPU time in ms of a process and, for the supervisor, of its ended children, the
 * workers. */
static double
cpu_of(pid_t pid)
{
	unsigned long t[4] = { 0 };
	char path[64], text[512];
	const char *end;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0 ||
	    (end = strrchr(text, ')')) == NULL ||
	    sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu", &t[0],
		   &t[1], &t[2], &t[3]) != 4)
		return 0;
	return (double)(t[0] + t[1] + t[2] + t[3]) * 1000 / (double)sysconf(_SC_CLK_TCK);
}

static double
cpu_ms(const struct harness *h)
{
	return cpu_of(h->agent) + cpu_of(h->supervisor);
}

/* Returns a line of the agent's status in KiB. */
static double
status_kib(const struct harness *h, const char *key)
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)h->agent);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			(void)sscanf(line + strlen(key), ": %lu kB", &kib);
	if (f)
		(void)fclose(f);
	return (double)kib;
}

/* Resets the peak (clear_refs of proc(5)). */
static double
begin_peak(const struct harness *h)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)h->agent);
	(void)write_text_at(AT_FDCWD, path, "5");
	return status_kib(h, "VmRSS");
}

/* Returns the mean time of many listings, and their size. */
static double
list(struct harness *h, const char *method, const void *request, double *bytes)
{
	double before = cpu_ms(h);

	for (size_t i = 0; i < LISTINGS; i++) {
		struct error err = ERROR_INIT;
		ProtobufCMessage *reply = NULL;

		if (call(h, method, request, &reply, &err) < 0)
			bench_die(method, &err);
		*bytes = (double)protobuf_c_message_get_packed_size(reply);
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	return (cpu_ms(h) - before) / LISTINGS;
}

/* Renames net0 ... to eth0 ..., each with two addresses. */
static void
update_interface(struct harness *h, unsigned int i)
{
	Grpc__UpdateInterfaceRequest q = GRPC__UPDATE_INTERFACE_REQUEST__INIT;
	Types__Interface interface = TYPES__INTERFACE__INIT;
	Types__IPAddress v4 = TYPES__IPADDRESS__INIT, v6 = TYPES__IPADDRESS__INIT;
	Types__IPAddress *addresses[] = { &v4, &v6 };
	char name[16], mac[18], a4[32], a6[32];
	struct error err = ERROR_INIT;

	(void)snprintf(name, sizeof(name), "eth%u", i);
	(void)snprintf(mac, sizeof(mac), "02:00:00:00:%02x:%02x", (i >> 8) & 0xffu, i & 0xffu);
	(void)snprintf(a4, sizeof(a4), "10.%u.%u.2", 100 + i / 200, i % 200);
	(void)snprintf(a6, sizeof(a6), "fd00:0:0:%x::2", i);
	q.interface = &interface;
	interface.name = interface.device = name;
	interface.hwaddr = mac;
	interface.mtu = 1450;
	v4.address = a4;
	v4.mask = (char *)"24";
	v6.address = a6;
	v6.mask = (char *)"64";
	interface.ipaddresses = addresses;
	interface.n_ipaddresses = 2;
	if (call(h, "UpdateInterface", &q, NULL, &err) < 0)
		bench_die(name, &err);
}

static void
interfaces(struct harness *h, unsigned int n, struct figures *f)
{
	Grpc__ListInterfacesRequest q = GRPC__LIST_INTERFACES_REQUEST__INIT;
	struct error err = ERROR_INIT;
	char name[16];
	double cpu;

	for (unsigned int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "net%u", i);
		if (mnl_add_plain_link(name, (uint16_t)i) < 0) {
			error_sys(&err, "make link %s", name);
			bench_die("links", &err);
		}
	}
	cpu = cpu_ms(h);
	for (unsigned int i = 0; i < n; i++)
		update_interface(h, i);
	f->update_ms = cpu_ms(h) - cpu;
	f->list_ms = list(h, "ListInterfaces", &q, &f->bytes);
	for (unsigned int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "eth%u", i);
		(void)mnl_remove_link(name);
	}
}

static void
routes(struct harness *h, unsigned int n, struct figures *f)
{
	Grpc__UpdateRoutesRequest q = GRPC__UPDATE_ROUTES_REQUEST__INIT;
	Grpc__ListRoutesRequest all = GRPC__LIST_ROUTES_REQUEST__INIT;
	Grpc__Routes routes = GRPC__ROUTES__INIT;
	Types__Route *route = calloc(n, sizeof(*route)), **pointers = calloc(n, sizeof(*pointers));
	char(*text)[32] = calloc(n, sizeof(*text));
	struct error err = ERROR_INIT;
	double before, cpu;

	if (!route || !pointers || !text || mnl_add_plain_link("net0", 0) < 0) {
		error_sys(&err, "make %u routes", n);
		bench_die("routes", &err);
	}
	update_interface(h, 0);
	for (unsigned int i = 0; i < n; i++) {
		types__route__init(&route[i]);
		(void)snprintf(text[i], sizeof(text[i]), "172.%u.%u.0/24", 16 + i / 256, i % 256);
		route[i].dest = text[i];
		route[i].gateway = (char *)"10.100.0.1";
		route[i].device = (char *)"eth0";
		pointers[i] = &route[i];
	}
	q.routes = &routes;
	routes.routes = pointers;
	routes.n_routes = n;
	before = begin_peak(h);
	cpu = cpu_ms(h);
	if (call(h, "UpdateRoutes", &q, NULL, &err) < 0)
		bench_die("UpdateRoutes", &err);
	f->update_ms = cpu_ms(h) - cpu;
	f->list_ms = list(h, "ListRoutes", &all, &f->bytes);
	f->peak_kib = status_kib(h, "VmHWM") - before;
	(void)mnl_remove_link("eth0");
	free(route);
	free(pointers);
	free(text);
}

static void
rows(const char *what, const struct figures *all, const struct figures *half)
{
	char name[64], base[64];

	(void)snprintf(base, sizeof(base), "half as many");
	(void)snprintf(name, sizeof(name), "%s: updated", what);
	row_print_once(name, "ms of CPU time", all->update_ms, base, half->update_ms);
	(void)snprintf(name, sizeof(name), "%s: listed", what);
	row_print_once(name, "ms of CPU time", all->list_ms, base, half->list_ms);
	(void)snprintf(name, sizeof(name), "%s: the list", what);
	row_print_once(name, "bytes", all->bytes, base, half->bytes);
}

int
main(void)
{
	struct harness h = { 0 };
	struct figures all, half;
	char name[32];

	(void)signal(SIGPIPE, SIG_IGN);
	harness_start(&h);
	/* The first call of each kind pays for permanent allocations. */
	routes(&h, ROUTES, &all);
	interfaces(&h, INTERFACES / 2, &half);
	interfaces(&h, INTERFACES, &all);
	(void)snprintf(name, sizeof(name), "%d interfaces", INTERFACES);
	rows(name, &all, &half);
	routes(&h, ROUTES / 2, &half);
	routes(&h, ROUTES, &all);
	(void)snprintf(name, sizeof(name), "%d routes", ROUTES);
	rows(name, &all, &half);
	row_print_once("5000 routes: the agent's peak above idle", "KiB", all.peak_kib,
		       "half as many", half.peak_kib);
	(void)freopen("/dev/null", "w", stdout);
	harness_stop(&h);
	return 0;
}
