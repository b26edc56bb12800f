/* SPDX-License-Identifier: Apache-2.0 */
/* One stream of a process that is passed through: data moves from one descriptor to another with
 * splice(2), without being copied to user space. A pipe is spliced directly; a terminal and a
 * socket are connected through an intermediate pipe. Used in the splice worker. Loop side: never
 * blocks; must not log, because the log of a worker's loop is discarded.
 */
#pragma once

#include <stdbool.h>

#include "lib/error.h"
#include "lib/loop.h"

struct splice;

/* Called as the last step, when the splice has ended and both descriptors are closed; the callee
 * frees the splice. errnum is the reason, 0 at the end of the stream. A terminal does not end
 * before the process has exited, because it may be reopened. */
typedef void splice_done_fn(struct splice *r, int errnum, void *data);

/* Starts a splice that owns both descriptors and makes them non-blocking. They are consumed also
 * on failure. Returns NULL and err on failure. Does not call `done`. */
struct splice *splice_new(struct loop *loop, int from, int to, splice_done_fn *done, void *data,
			  struct error *err);

/* Notes that the process has exited. The remaining data is moved; the stream then ends after
 * STDIO_QUIET_MS without data, even if another process holds it open. If the other side does not
 * read for unread_ms milliseconds, the rest is dropped, and `done` gets ETIMEDOUT. May call
 * `done`. */
void splice_exited(struct splice *r, uint64_t unread_ms);

/* Closes the descriptors and frees the splice. `done` is not called. */
void splice_free(struct splice *r);
