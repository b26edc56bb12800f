/* SPDX-License-Identifier: Apache-2.0 */
/* Selection of the connection that makes room for another, and the progress of the peers on which
 * it is based. Never blocks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct conn;
struct progress;
struct server;

/* Records that n bytes have moved; starts the time if nothing was owed. */
void progress_add(struct progress *p, size_t n, uint64_t now_ns);
void progress_end(struct progress *p);

/* Returns the connection to close for a new one; NULL: all are in use. */
struct conn *room_victim(const struct server *server);

/* Returns the connection with the longest queue, except the runtime's; NULL: there is no other. */
struct conn *room_fullest(const struct server *server);

/* Returns the connection whose incomplete frame has made no progress for the longest time, except
 * `but`; NULL: there is none. */
struct conn *room_stalest(const struct server *server, const struct conn *but);
