/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a maximum size; bytes are appended at the end and consumed at the
 * front. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
	/* Start of the allocation. */
	uint8_t *data;
	/* Offset of the first unconsumed byte. */
	size_t off;
	/* Number of unconsumed bytes. */
	size_t len;
	/* Allocated bytes. */
	size_t size;
	/* Upper limit of `len`. */
	size_t max;
};

void buf_init(struct buf *b, size_t max);

/* Frees the memory. The buffer is then empty and may be used again. */
void buf_release(struct buf *b);

/* Makes room for n bytes after the content and returns its address, or NULL (errno ENOMEM) if the
 * maximum would be exceeded or memory is exhausted. buf_commit() then adds the bytes. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Appends n bytes. Returns 0, or -1 (errno ENOMEM) with the buffer unchanged. */
int buf_append(struct buf *b, const void *p, size_t n);

/* Returns the address of the first unconsumed byte, valid for buf_len() bytes until the next
 * change. */
static inline const uint8_t *
buf_head(const struct buf *b)
{
	return b->data ? b->data + b->off : NULL;
}

static inline size_t
buf_len(const struct buf *b)
{
	return b->len;
}

/* Drops the first n bytes (n <= len). An empty buffer frees allocations over 64 KiB. */
void buf_consume(struct buf *b, size_t n);
