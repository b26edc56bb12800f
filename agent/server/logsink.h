/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The destination of the agent's log lines: standard error, or a reader on the host that connects
 * to a vsock port. Without a reader, lines wait in lib/log's ring. Never blocks; sets no timers.
 *
 * Lines that were written to a connection may never have been read, and the agent cannot tell.
 * Therefore the last 32 KiB of lines are kept, and those that are not acknowledged are sent again
 * to the next reader: each newline that a reader sends acknowledges one line, in order. A reader
 * that acknowledges nothing may receive lines twice after it reconnects; it can recognise them by
 * their time, which is unique.
 */
#pragma once

#include <stdint.h>

#include "lib/error.h"
#include "lib/loop.h"

struct logsink;

/* Takes over the log's sink. vport 0: standard error. Falls back to standard error, with a warning,
 * if it cannot listen on the port. Returns NULL and err only if out of memory. */
struct logsink *logsink_new(struct loop *loop, uint32_t vport, struct error *err);

/* As logsink_new(), for any address of agent/server/address.h. */
struct logsink *logsink_new_at(struct loop *loop, const char *address, struct error *err);

/* Restores lib/log's default sink and frees sink (may be NULL). */
void logsink_free(struct logsink *sink);
