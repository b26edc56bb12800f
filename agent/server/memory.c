/* SPDX-License-Identifier: Apache-2.0 */
/* See memory.h. Called by server.c, conn.c and call.c. */
#include "agent/server/memory.h"

#include "agent/server/server_internal.h"

static void memory_spare_late(void *data);

bool
memory_charge(struct server *server, size_t n)
{
	if (n > MEMORY_MAX - server->counts.memory)
		return false;
	server->counts.memory += n;
	return true;
}

void
memory_uncharge(struct server *server, size_t n)
{
	server->counts.memory -= n;
}

void
memory_keep_spare(struct server *server)
{
	struct error err = ERROR_INIT;

	server->spare_used = true;
	if (server->spare_timer)
		return;
	server->spare_timer = loop_timer(server->loop, SPARE_MS, memory_spare_late, server, &err);
	if (!server->spare_timer)
		memory_release_spare(server);
}

void
memory_give_frame(struct server *server, struct buf *frame)
{
	struct buf *spare = &server->spare_frame;

	frame->off = frame->len = 0;
	if (frame->size > spare->size) {
		struct buf smaller = *spare;

		*spare = *frame;
		*frame = smaller;
	}
	buf_release(frame);
	memory_keep_spare(server);
}

static void
memory_spare_late(void *data)
{
	struct server *server = data;

	server->spare_timer = NULL;
	if (server->spare_used)
		memory_keep_spare(server);
	else
		memory_release_spare(server);
	server->spare_used = false;
}

void
memory_release_spare(struct server *server)
{
	timer_cancel(server->spare_timer);
	server->spare_timer = NULL;
	arena_spare_release(&server->spare);
	buf_release(&server->spare_frame);
}
