/* SPDX-License-Identifier: Apache-2.0 */
/* A bump allocator with a cap. Chunks come from malloc; a large allocation has its own chunk. */
#include "lib/arena.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/round.h"

#define ALIGN      16u
#define CHUNK_SIZE 4096u
/* Enough for most calls, of which thousands may be parked. */
#define FIRST_SIZE 512u

struct arena_chunk {
	struct arena_chunk *next;
	/* Size of data[]. */
	size_t size, used;
	_Alignas(ALIGN) unsigned char data[];
};

static struct arena_chunk *arena_new_chunk(struct arena *a, size_t need);
static void arena_drop_chunk(struct arena *a, struct arena_chunk *c);

void
arena_init(struct arena *a, size_t cap)
{
	a->chunks = NULL;
	a->used = 0;
	a->cap = cap;
	a->spare = NULL;
}

void
arena_init_spare(struct arena *a, size_t cap, struct arena_spare *spare)
{
	arena_init(a, cap);
	a->spare = spare;
}

void
arena_spare_release(struct arena_spare *spare)
{
	free(spare->chunk);
	spare->chunk = NULL;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->chunks;
	void *p;

	if (size > SIZE_MAX / 2) {
		errno = ENOMEM;
		return NULL;
	}
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (size == 0)
		size = ALIGN;
	if (!c || c->size - c->used < size) {
		c = arena_new_chunk(a, size);
		if (!c)
			return NULL;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

/* Takes the spare block if it is large enough, though not many times as large, and the cap allows
 * it. */
static struct arena_chunk *
arena_take_spare(struct arena *a, size_t need)
{
	struct arena_chunk *c = a->spare ? a->spare->chunk : NULL;

	if (!c || need < ARENA_SPARE_MIN || c->size < need || c->size / 4 > need ||
	    a->used > a->cap || c->size + sizeof(*c) > a->cap - a->used)
		return NULL;
	a->spare->chunk = NULL;
	return c;
}

static struct arena_chunk *
arena_new_chunk(struct arena *a, size_t need)
{
	size_t size = (a->chunks ? CHUNK_SIZE : FIRST_SIZE) - sizeof(struct arena_chunk);
	size_t total;
	struct arena_chunk *c;

	if (need > size)
		size = round_alloc(need + sizeof(*c), CHUNK_SIZE) - sizeof(*c);
	total = size + sizeof(*c);
	c = arena_take_spare(a, need);
	if (c) {
		size = c->size;
		total = size + sizeof(*c);
	}
	if (total > a->cap - a->used && need < size) {
		/* Close to the cap: allocate only what is needed. */
		size = need;
		total = size + sizeof(*c);
	}
	if (a->used > a->cap || total > a->cap - a->used) {
		errno = ENOMEM;
		return NULL;
	}
	if (!c)
		c = malloc(total);
	if (!c)
		return NULL;
	c->size = size;
	c->used = 0;
	a->used += total;
	if (a->chunks && size > CHUNK_SIZE) {
		/* The current chunk stays first, and the large one is linked after it. */
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

void *
arena_zalloc(struct arena *a, size_t n, size_t size)
{
	size_t total;
	void *p;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	p = arena_alloc(a, total);
	if (p)
		memset(p, 0, total);
	return p;
}

void *
arena_memdup(struct arena *a, const void *p, size_t size)
{
	void *copy = arena_alloc(a, size);

	if (copy && size)
		memcpy(copy, p, size);
	return copy;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_memdup(a, s, strlen(s) + 1);
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *s;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	s = arena_alloc(a, (size_t)n + 1);
	if (!s)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void
arena_release(struct arena *a)
{
	struct arena_chunk *c = a->chunks;

	while (c) {
		struct arena_chunk *next = c->next;

		arena_drop_chunk(a, c);
		c = next;
	}
	a->chunks = NULL;
	a->used = 0;
}

/* Keeps the larger block as the spare. */
static void
arena_drop_chunk(struct arena *a, struct arena_chunk *c)
{
	if (a->spare && c->size >= ARENA_SPARE_MIN &&
	    (!a->spare->chunk || a->spare->chunk->size < c->size)) {
		arena_spare_release(a->spare);
		a->spare->chunk = c;
		return;
	}
	free(c);
}

void *
arena_pb_alloc(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

void
arena_pb_free(void *arena, void *p)
{
	(void)arena;
	(void)p;
}
