/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a hard maximum; bytes are appended at the end and consumed in front. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* start of the allocation */
	size_t off;    /* first unconsumed byte */
	size_t len;    /* unconsumed bytes */
	size_t size;   /* allocated */
	size_t max;    /* len never exceeds this */
};

void buf_init(struct buf *b, size_t max);

/* Frees the memory; the buffer is empty and may be used again. */
void buf_release(struct buf *b);

/* Makes room for n more bytes behind the content and returns where they go (NULL, errno ENOMEM, if
 * max would be passed or memory is out). Follow with buf_commit(). */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Appends; 0, or -1 (ENOMEM) with the buffer unchanged. */
int buf_append(struct buf *b, const void *p, size_t n);

/* First unconsumed byte; valid for buf_len() bytes until the next change. */
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

/* Drops n bytes in front (n <= len). An emptied buffer gives back allocations over 64 KiB. */
void buf_consume(struct buf *b, size_t n);
