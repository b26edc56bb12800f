/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/pack.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define CHUNK      ((size_t)64 << 10)
#define GZIP_LEVEL 9
/* The largest window, and a gzip header (zlib.h, deflateInit2). */
#define GZIP_WINDOW (15 + 16)
/* RFC 1952, 2.3.1: "unknown", for reproducible output. */
#define GZIP_OS_UNKNOWN 255
/* Level 15 gains 1 % and level 19 gains 10 %, for 5 and 22 times the work. */
#define ZSTD_LEVEL 9

struct packer {
	int fd;
	enum pack_format format;
	z_stream gzip;
	gz_header header;
	bool gzip_open;
	ZSTD_CCtx *zstd;
	uint64_t in, out;
	uint8_t buf[CHUNK];
};

static const struct {
	const char *name;
	enum pack_format format;
} formats[] = {
	{ "none", PACK_NONE }, { "gzip", PACK_GZIP }, { "zstd", PACK_ZSTD },
	{ "xz", PACK_XZ },     { "lz4", PACK_LZ4 },
};

static int pack_start_gzip(struct packer *packer, struct error *err);
static int pack_start_zstd(struct packer *packer, struct error *err);
static int pack_gzip_write(struct packer *packer, const uint8_t *data, size_t n, int flush,
			   struct error *err);
static int pack_zstd_write(struct packer *packer, const uint8_t *data, size_t n,
			   ZSTD_EndDirective end, struct error *err);

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
	else if (format == PACK_XZ || format == PACK_LZ4)
		r = error_set(err, ERROR_INVALID_ARGUMENT,
			      "failed to compress the archive: %s is not supported",
			      format == PACK_XZ ? "xz" : "lz4");
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

void
packer_free(struct packer *packer)
{
	if (!packer)
		return;
	if (packer->gzip_open)
		(void)deflateEnd(&packer->gzip);
	(void)ZSTD_freeCCtx(packer->zstd);
	free(packer);
}

int
packer_write(struct packer *packer, const void *data, size_t n, struct error *err)
{
	const uint8_t *p = data;
	int r = 0;

	packer->in += n;
	while (n && r == 0) {
		size_t part = n < CHUNK ? n : CHUNK;

		if (packer->format == PACK_GZIP)
			r = pack_gzip_write(packer, p, part, Z_NO_FLUSH, err);
		else if (packer->format == PACK_ZSTD)
			r = pack_zstd_write(packer, p, part, ZSTD_e_continue, err);
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

int
packer_finish(struct packer *packer, uint64_t *in, uint64_t *out, struct error *err)
{
	int r = 0;

	if (packer->format == PACK_GZIP)
		r = pack_gzip_write(packer, NULL, 0, Z_FINISH, err);
	else if (packer->format == PACK_ZSTD)
		r = pack_zstd_write(packer, NULL, 0, ZSTD_e_end, err);
	if (r < 0)
		return -1;
	if (in)
		*in = packer->in;
	if (out)
		*out = packer->out;
	return 0;
}
