/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that all requests share, and what is kept of it for the next large request. Never
 * blocks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct server;

/* Charges n more bytes, or returns false if they exceed MEMORY_MAX. */
bool memory_charge(struct server *server, size_t n);
void memory_uncharge(struct server *server, size_t n);

/* Keeps the memory of a large request as a spare for a while. */
void memory_keep_spare(struct server *server);

/* Frees the buffer of a large frame, or keeps it as the spare for the next one. */
void memory_give_frame(struct server *server, struct buf *frame);

/* Frees the spare. */
void memory_release_spare(struct server *server);
