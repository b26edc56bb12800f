/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/archive/pack.h"

#include <elf.h>
#include <endian.h>
#include <lz4hc.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define CHUNK ((size_t)64 << 10)
/* Level 9 gains 0.7 % for four times the work, which is little work for a small archive: after
 * this many bytes of the content the level is 6. */
#define GZIP_LEVEL      9
#define GZIP_LEVEL_REST 6
#define GZIP_BEST       ((uint64_t)16 << 20)
/* The largest window, and a gzip header (zlib.h, deflateInit2). */
#define GZIP_WINDOW (15 + 16)
/* RFC 1952, 2.3.1: "unknown", for reproducible output. */
#define GZIP_OS_UNKNOWN 255
/* Level 15 gains 1 % and level 19 gains 10 %, for 5 and 22 times the work. */
#define ZSTD_LEVEL      9
#define ZSTD_LEVEL_FAST 3
#define XZ_PRESET       6
/* The kernel allocates the dictionary when it unpacks. */
#define XZ_DICTIONARY ((uint32_t)4 << 20)
/* Constants of the kernel's decompressor. */
#define LZ4_MAGIC 0x184c2102u
#define LZ4_BLOCK (8 << 20)
#define LZ4_LEVEL LZ4HC_CLEVEL_MAX

struct packer {
	int fd;
	enum pack_format format;
	z_stream gzip;
	gz_header header;
	/* gzip_rest: the level is that of the rest. */
	bool gzip_open, gzip_rest;
	ZSTD_CCtx *zstd;
	lzma_stream xz;
	/* A block of lz4 that is being filled, and its compressed form. */
	uint8_t *block, *packed;
	size_t block_len;
	uint64_t in, out;
	uint8_t buf[CHUNK];
};

static const struct {
	const char *name;
	enum pack_format format;
} formats[] = {
	{ "none", PACK_NONE }, { "gzip", PACK_GZIP }, { "zstd", PACK_ZSTD },
	{ "xz", PACK_XZ },     { "lz4", PACK_LZ4 },   { "xz-plain", PACK_XZ_PLAIN },
};

static int pack_start_gzip(struct packer *packer, struct error *err);
static int pack_start_zstd(struct packer *packer, struct error *err);
static int pack_start_xz(struct packer *packer, struct error *err);
static int pack_start_lz4(struct packer *packer, struct error *err);
static int pack_gzip_write(struct packer *packer, const uint8_t *data, size_t n, int flush,
			   struct error *err);
static int pack_gzip_change_level(struct packer *packer, struct error *err);
static int pack_zstd_write(struct packer *packer, const uint8_t *data, size_t n,
			   ZSTD_EndDirective end, struct error *err);
static int pack_xz_write(struct packer *packer, const uint8_t *data, size_t n, lzma_action action,
			 struct error *err);
static int pack_lz4_write(struct packer *packer, const uint8_t *data, size_t n, struct error *err);
static int pack_lz4_end_block(struct packer *packer, struct error *err);

static int
pack_put(struct packer *packer, const void *data, size_t n, struct error *err)
{
	if (n && write_full(packer->fd, data, n) < 0)
		return error_sys(err, "failed to write the archive");
	packer->out += n;
	return 0;
}

bool
pack_format_parse(const char *name, enum pack_format *out)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (!strcmp(name, formats[i].name)) {
			*out = formats[i].format;
			return true;
		}
	}
	return false;
}

enum pack_format
pack_format_for(enum pack_format format, uint16_t machine)
{
	return format == PACK_XZ && machine == EM_X86_64 ? PACK_XZ_X86 : format;
}

static bool
pack_is_xz(enum pack_format format)
{
	return format == PACK_XZ || format == PACK_XZ_PLAIN || format == PACK_XZ_X86;
}

struct packer *
packer_new(int fd, enum pack_format format, struct error *err)
{
	struct packer *packer = calloc(1, sizeof(*packer));
	int r = 0;

	if (!packer) {
		error_nomem(err, "starting an archive");
		return NULL;
	}
	packer->fd = fd;
	packer->format = format;
	if (format == PACK_GZIP)
		r = pack_start_gzip(packer, err);
	else if (format == PACK_ZSTD)
		r = pack_start_zstd(packer, err);
	else if (pack_is_xz(format))
		r = pack_start_xz(packer, err);
	else if (format == PACK_LZ4)
		r = pack_start_lz4(packer, err);
	if (r < 0) {
		packer_free(packer);
		return NULL;
	}
	return packer;
}

static int
pack_start_gzip(struct packer *packer, struct error *err)
{
	int r = deflateInit2(&packer->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 9,
			     Z_DEFAULT_STRATEGY);

	if (r == Z_MEM_ERROR)
		return error_nomem(err, "starting gzip");
	packer->gzip_open = r == Z_OK;
	packer->header.os = GZIP_OS_UNKNOWN;
	if (r != Z_OK || deflateSetHeader(&packer->gzip, &packer->header) != Z_OK)
		return error_set(err, ERROR_INTERNAL, "failed to start gzip: zlib error %d", r);
	return 0;
}

static int
pack_start_zstd(struct packer *packer, struct error *err)
{
	size_t r;

	packer->zstd = ZSTD_createCCtx();
	if (!packer->zstd)
		return error_nomem(err, "starting zstd");
	r = ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	if (!ZSTD_isError(r))
		r = ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_checksumFlag, 1);
	if (ZSTD_isError(r))
		return error_set(err, ERROR_INTERNAL, "failed to start zstd: %s",
				 ZSTD_getErrorName(r));
	return 0;
}

static int
pack_start_xz(struct packer *packer, struct error *err)
{
	lzma_options_lzma options;
	/* The filter makes the targets of calls absolute, which gains 6 %. */
	const lzma_filter filters[] = {
		{ LZMA_FILTER_X86, NULL },
		{ LZMA_FILTER_LZMA2, &options },
		{ LZMA_VLI_UNKNOWN, NULL },
	};
	lzma_ret r = LZMA_OPTIONS_ERROR;

	packer->xz = (lzma_stream)LZMA_STREAM_INIT;
	if (!lzma_lzma_preset(&options, XZ_PRESET)) {
		options.dict_size = XZ_DICTIONARY;
		/* The kernel knows no other check than CRC-32. */
		r = lzma_stream_encoder(&packer->xz, filters + (packer->format != PACK_XZ_X86),
					LZMA_CHECK_CRC32);
	}
	if (r == LZMA_MEM_ERROR)
		return error_nomem(err, "starting xz");
	if (r != LZMA_OK)
		return error_set(err, ERROR_INTERNAL, "failed to start xz: error %d", r);
	return 0;
}

static int
pack_start_lz4(struct packer *packer, struct error *err)
{
	const uint32_t magic = htole32(LZ4_MAGIC);

	packer->block = malloc(LZ4_BLOCK);
	packer->packed = malloc((size_t)LZ4_compressBound(LZ4_BLOCK));
	if (!packer->block || !packer->packed)
		return error_nomem(err, "starting lz4");
	return pack_put(packer, &magic, sizeof(magic), err);
}

void
packer_free(struct packer *packer)
{
	if (!packer)
		return;
	if (pack_is_xz(packer->format))
		lzma_end(&packer->xz);
	free(packer->block);
	free(packer->packed);
	if (packer->gzip_open)
		(void)deflateEnd(&packer->gzip);
	(void)ZSTD_freeCCtx(packer->zstd);
	free(packer);
}

void
packer_set_fast(struct packer *packer)
{
	if (packer->zstd)
		(void)ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_compressionLevel,
					     ZSTD_LEVEL_FAST);
}

int
packer_write(struct packer *packer, const void *data, size_t n, struct error *err)
{
	const uint8_t *p = data;
	int r = 0;

	if (packer->format == PACK_GZIP && !packer->gzip_rest && packer->in >= GZIP_BEST)
		r = pack_gzip_change_level(packer, err);
	packer->in += n;
	while (n && r == 0) {
		size_t part = n < CHUNK ? n : CHUNK;

		if (packer->format == PACK_GZIP)
			r = pack_gzip_write(packer, p, part, Z_NO_FLUSH, err);
		else if (packer->format == PACK_ZSTD)
			r = pack_zstd_write(packer, p, part, ZSTD_e_continue, err);
		else if (pack_is_xz(packer->format))
			r = pack_xz_write(packer, p, part, LZMA_RUN, err);
		else if (packer->format == PACK_LZ4)
			r = pack_lz4_write(packer, p, part, err);
		else
			r = pack_put(packer, p, part, err);
		p += part;
		n -= part;
	}
	return r;
}

static int
pack_gzip_write(struct packer *packer, const uint8_t *data, size_t n, int flush, struct error *err)
{
	int r;

	packer->gzip.next_in = (Bytef *)data;
	/* At most CHUNK bytes. */
	packer->gzip.avail_in = (uInt)n;
	do {
		packer->gzip.next_out = packer->buf;
		packer->gzip.avail_out = CHUNK;
		r = deflate(&packer->gzip, flush);
		if (r == Z_STREAM_ERROR)
			return error_set(err, ERROR_INTERNAL,
					 "failed to compress the archive: zlib failed");
		if (pack_put(packer, packer->buf, CHUNK - packer->gzip.avail_out, err) < 0)
			return -1;
	} while (packer->gzip.avail_out == 0);
	return 0;
}

/* Compresses what was written so far with the old level. */
static int
pack_gzip_change_level(struct packer *packer, struct error *err)
{
	int r;

	packer->gzip_rest = true;
	packer->gzip.avail_in = 0;
	do {
		packer->gzip.next_out = packer->buf;
		packer->gzip.avail_out = CHUNK;
		r = deflateParams(&packer->gzip, GZIP_LEVEL_REST, Z_DEFAULT_STRATEGY);
		if (r == Z_STREAM_ERROR)
			return error_set(err, ERROR_INTERNAL,
					 "failed to compress the archive: zlib failed");
		if (pack_put(packer, packer->buf, CHUNK - packer->gzip.avail_out, err) < 0)
			return -1;
	} while (r == Z_BUF_ERROR);
	return 0;
}

static int
pack_zstd_write(struct packer *packer, const uint8_t *data, size_t n, ZSTD_EndDirective end,
		struct error *err)
{
	ZSTD_inBuffer in = { data, n, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { packer->buf, CHUNK, 0 };

		left = ZSTD_compressStream2(packer->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return error_set(err, ERROR_INTERNAL, "failed to compress the archive: %s",
					 ZSTD_getErrorName(left));
		if (pack_put(packer, packer->buf, out.pos, err) < 0)
			return -1;
	} while (in.pos < in.size || (end == ZSTD_e_end && left));
	return 0;
}

static int
pack_xz_write(struct packer *packer, const uint8_t *data, size_t n, lzma_action action,
	      struct error *err)
{
	lzma_stream *xz = &packer->xz;
	lzma_ret r;

	xz->next_in = data;
	xz->avail_in = n;
	do {
		xz->next_out = packer->buf;
		xz->avail_out = CHUNK;
		r = lzma_code(xz, action);
		if (r == LZMA_MEM_ERROR)
			return error_nomem(err, "compressing the archive");
		if (r != LZMA_OK && r != LZMA_STREAM_END)
			return error_set(err, ERROR_INTERNAL,
					 "failed to compress the archive: liblzma failed");
		if (pack_put(packer, packer->buf, CHUNK - xz->avail_out, err) < 0)
			return -1;
	} while (action == LZMA_FINISH ? r != LZMA_STREAM_END : xz->avail_in || !xz->avail_out);
	return 0;
}

static int
pack_lz4_write(struct packer *packer, const uint8_t *data, size_t n, struct error *err)
{
	while (n) {
		size_t part = LZ4_BLOCK - packer->block_len;

		if (part > n)
			part = n;
		memcpy(packer->block + packer->block_len, data, part);
		packer->block_len += part;
		data += part;
		n -= part;
		if (packer->block_len == LZ4_BLOCK && pack_lz4_end_block(packer, err) < 0)
			return -1;
	}
	return 0;
}

/* A block is its compressed length and its content; all but the last have the full size. */
static int
pack_lz4_end_block(struct packer *packer, struct error *err)
{
	uint32_t size;
	int n;

	if (!packer->block_len)
		return 0;
	n = LZ4_compress_HC((const char *)packer->block, (char *)packer->packed,
			    (int)packer->block_len, LZ4_compressBound(LZ4_BLOCK), LZ4_LEVEL);
	if (n <= 0)
		return error_set(err, ERROR_INTERNAL,
				 "failed to compress the archive: liblz4 failed");
	packer->block_len = 0;
	size = htole32((uint32_t)n);
	if (pack_put(packer, &size, sizeof(size), err) < 0)
		return -1;
	return pack_put(packer, packer->packed, (size_t)n, err);
}

int
packer_finish(struct packer *packer, uint64_t *in, uint64_t *out, struct error *err)
{
	int r = 0;

	if (packer->format == PACK_GZIP)
		r = pack_gzip_write(packer, NULL, 0, Z_FINISH, err);
	else if (packer->format == PACK_ZSTD)
		r = pack_zstd_write(packer, NULL, 0, ZSTD_e_end, err);
	else if (pack_is_xz(packer->format))
		r = pack_xz_write(packer, NULL, 0, LZMA_FINISH, err);
	else if (packer->format == PACK_LZ4)
		r = pack_lz4_end_block(packer, err);
	if (r < 0)
		return -1;
	if (in)
		*in = packer->in;
	if (out)
		*out = packer->out;
	return 0;
}
