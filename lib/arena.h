/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bump allocator with a cap, for data whose size a peer determines. Allocations are freed only
 * together, with the arena. Not for data that outlives its call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
	/* Newest first. */
	struct arena_chunk *chunks;
	/* Bytes allocated by malloc so far. */
	size_t used;
	/* Upper limit of `used`. */
	size_t cap;
	/* May be NULL. */
	struct arena_spare *spare;
};

/* Smaller blocks are not kept. */
#define ARENA_SPARE_MIN (8u << 10)

/* One large block of memory that successive arenas reuse, because mapping it, touching its pages
 * and unmapping it costs more than the work that is done in it. */
struct arena_spare {
	struct arena_chunk *chunk;
};

/* Initialises an empty arena of at most `cap` bytes. Allocates nothing yet. */
void arena_init(struct arena *a, size_t cap);

/* As arena_init(), with a spare block that outlives the arena. */
void arena_init_spare(struct arena *a, size_t cap, struct arena_spare *spare);

/* Frees the spare block. */
void arena_spare_release(struct arena_spare *spare);

/* Allocates memory that is 16-byte aligned and not zeroed. Returns NULL (errno ENOMEM) if the cap
 * or memory is exhausted. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((alloc_size(2)));

/* Allocates n zeroed items of `size` bytes, with an overflow check. */
void *arena_zalloc(struct arena *a, size_t n, size_t size) __attribute__((alloc_size(2, 3)));

/* Return a copy of a string, or of `size` bytes, or NULL. */
char *arena_strdup(struct arena *a, const char *s);
void *arena_memdup(struct arena *a, const void *p, size_t size);

/* Formats a string. Returns NULL if the arena is exhausted. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Frees all allocations. The arena may be used again with the same cap. */
void arena_release(struct arena *a);

/* Functions for a ProtobufCAllocator: { arena_pb_alloc, arena_pb_free, arena }. arena_pb_free()
 * does nothing. */
void *arena_pb_alloc(void *arena, size_t size);
void arena_pb_free(void *arena, void *p);
