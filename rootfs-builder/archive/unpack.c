/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half of pack.h. The input may be corrupt or hostile; callers limit the size. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/archive/pack.h"

#define CHUNK ((size_t)64 << 10)
/* Limit of the dictionary; xz -9 needs 65 MiB. */
#define XZ_MEMORY_MAX ((uint64_t)256 << 20)

/* The legacy format of lz4: a block is its compressed length and its content. */
#define LZ4_MAGIC 0x184c2102u
#define LZ4_BLOCK (8 << 20)

struct unpacker {
	int fd;
	enum pack_format format;
	z_stream gzip;
	ZSTD_DStream *zstd;
	lzma_stream xz;
	bool gzip_open, xz_open;
	/* A block of lz4, the unread part of it, and its compressed form. */
	uint8_t *block, *packed;
	size_t block_pos, block_len;
	/* End of the file; end of the compressed stream in it. */
	bool input_ended, frame_ended;
	/* The unread bytes of buf. */
	size_t pos, len;
	uint8_t buf[CHUNK];
};

static const struct {
	enum pack_format format;
	uint8_t len;
	uint8_t magic[6];
} magics[] = {
	{ PACK_GZIP, 2, { 0x1f, 0x8b } },
	{ PACK_ZSTD, 4, { 0x28, 0xb5, 0x2f, 0xfd } },
	{ PACK_XZ, 6, { 0xfd, '7', 'z', 'X', 'Z', 0 } },
	{ PACK_LZ4, 4, { 0x02, 0x21, 0x4c, 0x18 } },
};

static int unpack_start(struct unpacker *unpacker, struct error *err);
static ssize_t unpack_plain_step(struct unpacker *unpacker, uint8_t *out, size_t n);
static ssize_t unpack_gzip_step(struct unpacker *unpacker, uint8_t *out, size_t n,
				struct error *err);
static ssize_t unpack_zstd_step(struct unpacker *unpacker, uint8_t *out, size_t n,
				struct error *err);
static ssize_t unpack_xz_step(struct unpacker *unpacker, uint8_t *out, size_t n, struct error *err);
static int unpack_check_rest(struct unpacker *unpacker, struct error *err);

static int
unpack_damaged(struct error *err, const char *how)
{
	return error_set(err, ERROR_DATA_LOSS, "failed to unpack: %s", how);
}

/* Reads more input if no unread byte is left. */
static int
unpack_fill(struct unpacker *unpacker, struct error *err)
{
	ssize_t n;

	if (unpacker->pos < unpacker->len || unpacker->input_ended)
		return 0;
	n = read_full(unpacker->fd, unpacker->buf, CHUNK);
	if (n < 0)
		return error_sys(err, "failed to read");
	unpacker->input_ended = (size_t)n < CHUNK;
	unpacker->pos = 0;
	unpacker->len = (size_t)n;
	return 0;
}

struct unpacker *
unpacker_new(int fd, struct error *err)
{
	struct unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (!unpacker) {
		error_nomem(err, "opening a stream");
		return NULL;
	}
	unpacker->fd = fd;
	if (unpack_start(unpacker, err) < 0) {
		unpacker_free(unpacker);
		return NULL;
	}
	return unpacker;
}

static int
unpack_start(struct unpacker *unpacker, struct error *err)
{
	if (unpack_fill(unpacker, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		if (unpacker->len >= magics[i].len &&
		    !memcmp(unpacker->buf, magics[i].magic, magics[i].len))
			unpacker->format = magics[i].format;
	}
	switch (unpacker->format) {
	case PACK_NONE:
		return 0;
	case PACK_GZIP:
		unpacker->gzip_open = inflateInit2(&unpacker->gzip, 15 + 16) == Z_OK;
		return unpacker->gzip_open ? 0 : error_nomem(err, "starting gzip");
	case PACK_ZSTD:
		unpacker->zstd = ZSTD_createDStream();
		return unpacker->zstd ? 0 : error_nomem(err, "starting zstd");
	case PACK_XZ:
	case PACK_XZ_PLAIN:
	case PACK_XZ_X86:
		unpacker->xz = (lzma_stream)LZMA_STREAM_INIT;
		unpacker->xz_open = lzma_stream_decoder(&unpacker->xz, XZ_MEMORY_MAX, 0) == LZMA_OK;
		return unpacker->xz_open ? 0 : error_nomem(err, "starting xz");
	case PACK_LZ4:
		unpacker->block = malloc(LZ4_BLOCK);
		unpacker->packed = malloc((size_t)LZ4_compressBound(LZ4_BLOCK));
		return unpacker->block && unpacker->packed ? 0 : error_nomem(err, "starting lz4");
	}
	return 0;
}

void
unpacker_free(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
	if (unpacker->gzip_open)
		(void)inflateEnd(&unpacker->gzip);
	(void)ZSTD_freeDStream(unpacker->zstd);
	if (unpacker->xz_open)
		lzma_end(&unpacker->xz);
	free(unpacker->block);
	free(unpacker->packed);
	free(unpacker);
}

/* Reads exactly n bytes of the input, or fewer at its end. */
static ssize_t
unpack_take(struct unpacker *unpacker, void *out, size_t n, struct error *err)
{
	size_t used = 0;

	while (used < n) {
		size_t part;

		if (unpack_fill(unpacker, err) < 0)
			return -1;
		part = unpacker->len - unpacker->pos;
		if (!part)
			break;
		if (part > n - used)
			part = n - used;
		memcpy((uint8_t *)out + used, unpacker->buf + unpacker->pos, part);
		unpacker->pos += part;
		used += part;
	}
	return (ssize_t)used;
}

static ssize_t
unpack_lz4_read(struct unpacker *unpacker, uint8_t *out, size_t n, struct error *err)
{
	while (unpacker->block_pos == unpacker->block_len) {
		uint32_t size;
		ssize_t got = unpack_take(unpacker, &size, sizeof(size), err);
		int len;

		if (got <= 0)
			return got;
		size = le32toh(size);
		/* Archives may follow one another. */
		if (got == (ssize_t)sizeof(size) && size == LZ4_MAGIC)
			continue;
		if (got != (ssize_t)sizeof(size) || size > (uint32_t)LZ4_compressBound(LZ4_BLOCK))
			return unpack_damaged(err, "damaged lz4 data");
		got = unpack_take(unpacker, unpacker->packed, size, err);
		if (got < 0)
			return -1;
		if ((size_t)got < size)
			return unpack_damaged(err, "unexpected end of data");
		len = LZ4_decompress_safe((const char *)unpacker->packed, (char *)unpacker->block,
					  (int)size, LZ4_BLOCK);
		if (len <= 0)
			return unpack_damaged(err, "damaged lz4 data");
		unpacker->block_pos = 0;
		unpacker->block_len = (size_t)len;
	}
	if (n > unpacker->block_len - unpacker->block_pos)
		n = unpacker->block_len - unpacker->block_pos;
	memcpy(out, unpacker->block + unpacker->block_pos, n);
	unpacker->block_pos += n;
	return (ssize_t)n;
}

ssize_t
unpacker_read(struct unpacker *unpacker, void *out, size_t n, struct error *err)
{
	if (unpacker->format == PACK_LZ4)
		return unpack_lz4_read(unpacker, out, n, err);
	while (n && !unpacker->frame_ended) {
		ssize_t got;
		size_t before;
		bool at_end;

		if (unpack_fill(unpacker, err) < 0)
			return -1;
		before = unpacker->pos;
		at_end = unpacker->pos == unpacker->len;
		if (unpacker->format == PACK_NONE)
			return unpack_plain_step(unpacker, out, n);
		if (unpacker->format == PACK_GZIP)
			got = unpack_gzip_step(unpacker, out, n, err);
		else if (unpacker->format == PACK_ZSTD)
			got = unpack_zstd_step(unpacker, out, n, err);
		else
			got = unpack_xz_step(unpacker, out, n, err);
		if (got)
			return got;
		if (unpacker->pos == before && !unpacker->frame_ended)
			return unpack_damaged(err,
					      at_end ? "unexpected end of data" : "corrupt data");
	}
	return n ? unpack_check_rest(unpacker, err) : 0;
}

static ssize_t
unpack_plain_step(struct unpacker *unpacker, uint8_t *out, size_t n)
{
	size_t left = unpacker->len - unpacker->pos;

	if (n > left)
		n = left;
	memcpy(out, unpacker->buf + unpacker->pos, n);
	unpacker->pos += n;
	return (ssize_t)n;
}

/* Each decompresses from buf into out and returns the number of bytes stored. */

static ssize_t
unpack_gzip_step(struct unpacker *unpacker, uint8_t *out, size_t n, struct error *err)
{
	z_stream *z = &unpacker->gzip;
	int r;

	z->next_in = unpacker->buf + unpacker->pos;
	z->avail_in = (uInt)(unpacker->len - unpacker->pos);
	z->next_out = out;
	z->avail_out = n > UINT_MAX ? UINT_MAX : (uInt)n;
	n = z->avail_out;
	r = inflate(z, Z_NO_FLUSH);
	unpacker->pos = unpacker->len - z->avail_in;
	if (r == Z_STREAM_END)
		unpacker->frame_ended = true;
	else if (r == Z_MEM_ERROR)
		return error_nomem(err, "unpacking gzip");
	else if (r != Z_OK && r != Z_BUF_ERROR)
		return unpack_damaged(err, z->msg ? z->msg : "damaged gzip data");
	return (ssize_t)(n - z->avail_out);
}

static ssize_t
unpack_zstd_step(struct unpacker *unpacker, uint8_t *out, size_t n, struct error *err)
{
	ZSTD_inBuffer in = { unpacker->buf, unpacker->len, unpacker->pos };
	ZSTD_outBuffer dst = { out, n, 0 };
	size_t r = ZSTD_decompressStream(unpacker->zstd, &dst, &in);

	unpacker->pos = in.pos;
	if (ZSTD_isError(r))
		return unpack_damaged(err, ZSTD_getErrorName(r));
	unpacker->frame_ended = r == 0;
	return (ssize_t)dst.pos;
}

static ssize_t
unpack_xz_step(struct unpacker *unpacker, uint8_t *out, size_t n, struct error *err)
{
	lzma_stream *xz = &unpacker->xz;
	lzma_ret r;

	xz->next_in = unpacker->buf + unpacker->pos;
	xz->avail_in = unpacker->len - unpacker->pos;
	xz->next_out = out;
	xz->avail_out = n;
	r = lzma_code(xz, LZMA_RUN);
	unpacker->pos = unpacker->len - xz->avail_in;
	if (r == LZMA_STREAM_END)
		unpacker->frame_ended = true;
	else if (r == LZMA_MEM_ERROR || r == LZMA_MEMLIMIT_ERROR)
		return error_nomem(err, "unpacking xz");
	else if (r != LZMA_OK && r != LZMA_BUF_ERROR)
		return unpack_damaged(err, "damaged xz data");
	return (ssize_t)(n - xz->avail_out);
}

/* Only zeros may follow the end of a compressed stream: concatenated streams are not supported. */
static int
unpack_check_rest(struct unpacker *unpacker, struct error *err)
{
	for (;;) {
		if (unpack_fill(unpacker, err) < 0)
			return -1;
		if (unpacker->pos == unpacker->len)
			return 0;
		if (unpacker->buf[unpacker->pos++])
			return error_set(
				err, ERROR_UNIMPLEMENTED,
				"failed to unpack: data after the end of the compressed stream");
	}
}

int
unpack_file(const char *path, size_t max, uint8_t **out, size_t *len, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	auto_free uint8_t *all = NULL;
	struct unpacker *unpacker;
	size_t used = 0, size = 0;
	ssize_t n = 1;

	if (fd < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open %s", path);
	unpacker = unpacker_new(fd, err);
	while (unpacker && n > 0) {
		if (used == size) {
			uint8_t *grown = size < max ? realloc(all, size + CHUNK * 4) : NULL;

			n = -1;
			if (size >= max)
				error_set(err, ERROR_RESOURCE_EXHAUSTED,
					  "more than the %zu bytes allowed", max);
			else if (!grown)
				error_nomem(err, "unpacking a file");
			if (!grown)
				break;
			all = grown;
			size += CHUNK * 4;
		}
		n = unpacker_read(unpacker, all + used, size - used, err);
		used += n > 0 ? (size_t)n : 0;
	}
	unpacker_free(unpacker);
	if (!unpacker || n < 0)
		return error_wrap(err, "%s", path);
	*len = used;
	*out = steal_ptr(&all);
	return 0;
}
