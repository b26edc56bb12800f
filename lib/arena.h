/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capped bump allocator: whatever a peer sized lives in one and is freed with it. Single
 * allocations are never freed on their own. Not for data that outlives its call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
	size_t used;                /* bytes taken from malloc so far */
	size_t cap;                 /* never more than this */
	struct arena_spare *spare;  /* NULL: none */
};

/* One large piece of memory that arenas which come and go hand on to each other: fresh memory of a megabyte costs more
 * than what is done with it. */
struct arena_spare {
	struct arena_chunk *chunk;
};

/* An empty arena that will take at most `cap` bytes. Allocates nothing yet. */
void arena_init(struct arena *a, size_t cap);

/* The same, with a spare of its owner's, which outlives it. */
void arena_init_spare(struct arena *a, size_t cap, struct arena_spare *spare);

/* Frees what it holds. */
void arena_spare_release(struct arena_spare *spare);

/* 16-byte aligned, not zeroed; NULL when the cap or memory is exhausted (errno ENOMEM). */
void *arena_alloc(struct arena *a, size_t size) __attribute__((alloc_size(2)));

/* As arena_alloc for n items of `size`, zeroed, overflow-checked. */
void *arena_zalloc(struct arena *a, size_t n, size_t size) __attribute__((alloc_size(2, 3)));

/* Copies of a string / of `size` bytes; NULL when exhausted. */
char *arena_strdup(struct arena *a, const char *s);
void *arena_memdup(struct arena *a, const void *p, size_t size);

/* printf into the arena; NULL when exhausted. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Frees everything; the arena may be used again with the same cap. */
void arena_release(struct arena *a);

/* The face protobuf-c wants (a ProtobufCAllocator has the same three members in this order). `free`
 * does nothing. Fill in a ProtobufCAllocator with: { arena_pb_alloc, arena_pb_free, arena }. */
void *arena_pb_alloc(void *arena, size_t size);
void arena_pb_free(void *arena, void *p);
