/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed streams over a file descriptor: writing of archives, reading of archives and kernel
 * modules. The output depends on the input alone: it contains no time or name.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

enum pack_format {
	PACK_NONE,
	/* The only format that a stock Kata kernel can decompress. */
	PACK_GZIP,
	PACK_ZSTD,
	PACK_XZ,
	/* The legacy format of lz4, which the kernel unpacks. For writing only. */
	PACK_LZ4,
	/* xz that never gets a filter: see pack_format_for(). For writing only. */
	PACK_XZ_PLAIN,
	/* xz with the filter for x86 programs, which a kernel unpacks if it has CONFIG_XZ_DEC_X86.
	 * For writing only. */
	PACK_XZ_X86,
};

/* Parses "none", "gzip", "zstd", "xz", "xz-plain" or "lz4". Returns false for anything else. */
bool pack_format_parse(const char *name, enum pack_format *out);

/* Returns the format for an initrd with programs for this machine (EM_X86_64, ...): xz gets the
 * filter for its programs if there is one. */
enum pack_format pack_format_for(enum pack_format format, uint16_t machine);

struct packer;

/* Starts a stream at the current position of fd, which the caller continues to own. */
struct packer *packer_new(int fd, enum pack_format format, struct error *err);

/* Prefers speed to size, for a file that does not leave this machine. To be called before the first
 * write; changes zstd only. */
void packer_set_fast(struct packer *packer);
int packer_write(struct packer *packer, const void *data, size_t n, struct error *err);

/* Ends the stream. Stores the bytes before (*in) and after compression (*out); either may be
 * NULL. */
int packer_finish(struct packer *packer, uint64_t *in, uint64_t *out, struct error *err);
void packer_free(struct packer *packer);

struct unpacker;

/* Reads from the current position of fd, which the caller continues to own. The format is detected
 * from the first bytes. */
struct unpacker *unpacker_new(int fd, struct error *err);

/* Reads up to n bytes. Returns their number, 0 at the end, or -1 and *err (DATA_LOSS for a
 * corrupt or truncated stream). */
ssize_t unpacker_read(struct unpacker *unpacker, void *out, size_t n, struct error *err);
void unpacker_free(struct unpacker *unpacker);

/* Reads a whole file and decompresses it if needed: at most max bytes. The caller frees *out. */
int unpack_file(const char *path, size_t max, uint8_t **out, size_t *len, struct error *err);
