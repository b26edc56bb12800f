/* SPDX-License-Identifier: Apache-2.0 */
/* The services for the guest as a whole. */
#include "agent/guest/guest.h"

#include <stdlib.h>
#include <sys/sysinfo.h>

#include "agent/guest/clock.h"
#include "agent/guest/online.h"
#include "agent/guest/scrape.h"
#include "lib/log.h"

struct guest *
guest_new(const struct guest_parts *parts, struct error *err)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct error why = ERROR_INIT;
	struct sysinfo info;

	if (!g) {
		error_nomem(err, "creating the guest's services");
		return NULL;
	}
	g->parts = *parts;
	scrape_init(g);
	g->memory = memory_watch_new(g, err);
	if (!g->memory) {
		guest_free(g);
		return NULL;
	}
	/* MemTotal, without reading a file, which may block. */
	if (sysinfo(&info) == 0)
		g->memory_total = (uint64_t)info.totalram * info.mem_unit;
	if (parts->is_pid1)
		g->clock = clock_keeper_new(parts->loop, parts->roots, &why);
	if (why.code != ERROR_OK)
		log_warn("clock", "failed to start clock synchronisation: %s", why.msg);
	return g;
}

void
guest_free(struct guest *g)
{
	if (!g)
		return;
	scrape_release(g);
	memory_watch_free(g->memory);
	clock_keeper_free(g->clock);
	free(g);
}
