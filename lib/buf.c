/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer. Grows by doubling, and frees large allocations once it is empty. */
#include "lib/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/round.h"

#define KEEP_MAX ((size_t)64 << 10)
#define GROW_MIN ((size_t)256)

void
buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void
buf_release(struct buf *b)
{
	size_t max = b->max;

	free(b->data);
	buf_init(b, max);
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	size_t need, size;
	uint8_t *data;

	if (b->len > b->max || n > b->max - b->len) {
		errno = ENOMEM;
		return NULL;
	}
	need = b->len + n;
	if (b->size - b->off >= need && b->data)
		return b->data + b->off + b->len;
	if (b->data && b->off && b->size >= need) {
		memmove(b->data, b->data + b->off, b->len);
		b->off = 0;
		return b->data + b->len;
	}
	size = b->size * 2;
	if (size < need)
		size = need;
	size = round_alloc(size, GROW_MIN);
	if (size > b->max && need <= b->max)
		size = b->max;
	/* realloc() moves a large allocation without copying it. */
	if (!b->off) {
		data = realloc(b->data, size);
		if (!data)
			return NULL;
		b->data = data;
		b->size = size;
		return data + b->len;
	}
	data = malloc(size);
	if (!data)
		return NULL;
	if (b->data && b->len)
		memcpy(data, b->data + b->off, b->len);
	free(b->data);
	b->data = data;
	b->size = size;
	b->off = 0;
	return data + b->len;
}

void
buf_commit(struct buf *b, size_t n)
{
	b->len += n;
}

int
buf_append(struct buf *b, const void *p, size_t n)
{
	uint8_t *dst = buf_reserve(b, n);

	if (!dst)
		return -1;
	if (n)
		memcpy(dst, p, n);
	buf_commit(b, n);
	return 0;
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	b->off += n;
	b->len -= n;
	if (b->len)
		return;
	b->off = 0;
	if (b->size > KEEP_MAX) {
		free(b->data);
		b->data = NULL;
		b->size = 0;
	}
}
