/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the agent's log lines go: standard error, or whoever of the host connects to a vsock port.
 * Lines wait in lib/log's ring while nobody takes them. Never blocks; sets no timers.
 *
 * What was written to a connection may never have been read by who was there: nobody can see that.
 * The last 32 KiB of lines are therefore kept, and told again to the next who connects, but for
 * those that the reader has acknowledged: each newline that it sends acknowledges one line, in
 * their order. A reader who does not care sends nothing, and on its next connection may get lines
 * that it knows (by their time, which no two share).
 */
#pragma once

#include <stdint.h>

#include "lib/error.h"
#include "lib/loop.h"

struct logsink;

/* Takes over the log's sink. vport 0: standard error. If the port cannot be had, standard error
 * it is, with a warning. NULL and err only if memory is out. */
struct logsink *logsink_new(struct loop *loop, uint32_t vport, struct error *err);

/* As logsink_new for any address of agent/server/address.h. */
struct logsink *logsink_new_at(struct loop *loop, const char *address, struct error *err);

/* Gives the sink back to lib/log's default. NULL is allowed. */
void logsink_free(struct logsink *sink);
