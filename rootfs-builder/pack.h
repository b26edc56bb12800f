/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed streams over a file descriptor: the writing side for archives, the reading side for
 * archives and kernel modules. The same bytes in give the same bytes out: no time, name or thread
 * count enters.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

enum pack_format {
	PACK_NONE,
	PACK_GZIP, /* the only one that a stock Kata kernel unpacks */
	PACK_ZSTD,
	PACK_XZ, /* read only */
};

/* "none", "gzip", "zstd"; false for anything else. */
bool pack_format_parse(const char *name, enum pack_format *out);

struct packer;

/* Starts a stream at fd's position; fd stays the caller's. NULL and *err on failure. PACK_XZ is
 * refused. */
struct packer *packer_new(int fd, enum pack_format format, struct error *err);
int packer_write(struct packer *packer, const void *data, size_t n, struct error *err);

/* Ends the stream. Bytes that went in and came out are stored if the pointers are not NULL. */
int packer_finish(struct packer *packer, uint64_t *in, uint64_t *out, struct error *err);
void packer_free(struct packer *packer);

struct unpacker;

/* Reads from fd's position; the format is found from the first bytes. fd stays the caller's. */
struct unpacker *unpacker_new(int fd, struct error *err);

/* Up to n bytes; 0 at the end; -1 and *err (DATA_LOSS for a damaged or cut stream). */
ssize_t unpacker_read(struct unpacker *unpacker, void *out, size_t n, struct error *err);
void unpacker_free(struct unpacker *unpacker);

/* A whole file, unpacked if it is packed: at most max bytes, *out is the caller's (free()). */
int unpack_file(const char *path, size_t max, uint8_t **out, size_t *len, struct error *err);
