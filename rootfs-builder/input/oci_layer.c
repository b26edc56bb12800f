/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/input/oci_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/archive/tarread.h"
#include "rootfs-builder/work/hash.h"

#define CHUNK ((size_t)64 << 10)

/* The bytes of one blob on their way to the reader of a tar. */
struct layer {
	struct build *build;
	const struct image_entry *blob;
	int fd;
	uint64_t at;
	/* Digests of the blob, and of the tar in it. */
	struct sha256_ctx packed_hash, hash;
	/* Removes the compression. */
	struct archive *archive;
	struct error *err;
	bool has_failed;
	uint8_t packed[CHUNK], bytes[CHUNK];
};

static ssize_t oci_layer_next(void *data, const void **bytes, struct error *err);
static la_ssize_t oci_layer_fill(struct archive *archive, void *data, const void **bytes);

int
oci_layer_add(struct build *build, const struct image *store, const char *path, const char *digest,
	      const char *diff_id, struct error *err)
{
	auto_free struct layer *layer = calloc(1, sizeof(*layer));
	char found[HASH_DIGEST_LEN + 1];
	struct archive_entry *entry;
	const void *ignored;
	ssize_t n = 1;
	int r = -1;

	if (!layer)
		return error_nomem(err, "reading a layer");
	layer->build = build;
	layer->err = err;
	layer->fd = -1;
	sha256_init(&layer->hash);
	sha256_init(&layer->packed_hash);
	layer->blob = image_resolve(store, path, err);
	if (!layer->blob || !S_ISREG(layer->blob->mode))
		return error_set(err, ERROR_NOT_FOUND, "layer %s is missing", path);
	if (layer->blob->source) {
		layer->fd = image_open_source(layer->blob, err);
		if (layer->fd < 0)
			return -1;
	}
	build->image.layer++;
	layer->archive = archive_read_new();
	if (!layer->archive) {
		error_nomem(err, "reading a layer");
		goto out;
	}
	(void)archive_read_support_filter_gzip(layer->archive);
	(void)archive_read_support_filter_zstd(layer->archive);
	(void)archive_read_support_format_raw(layer->archive);
	if (archive_read_open(layer->archive, layer, NULL, oci_layer_fill, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(layer->archive, &entry) != ARCHIVE_OK) {
		if (!layer->has_failed)
			error_set(err, ERROR_DATA_LOSS, "layer %s: %s", path,
				  archive_error_string(layer->archive) ?: "damaged");
		goto out;
	}
	if (tar_read(build, path, oci_layer_next, layer, true, err) < 0)
		goto out;
	/* Padding after the end of the tar belongs to the digest, and so does what follows the
	 * compressed data. */
	while (n > 0)
		n = oci_layer_next(layer, &ignored, err);
	while (n == 0 && oci_layer_fill(layer->archive, layer, &ignored) > 0)
		;
	if (n < 0 || layer->has_failed)
		goto out;
	hash_digest(&layer->packed_hash, found);
	if (digest && strcmp(digest, found) != 0) {
		error_set(err, ERROR_DATA_LOSS, "layer %s is damaged: its digest is %s", path,
			  found);
		goto out;
	}
	hash_digest(&layer->hash, found);
	if (!diff_id || strcmp(diff_id, found) != 0) {
		error_set(err, ERROR_DATA_LOSS,
			  "layer %s: the digest of its content is %s, not that of the "
			  "configuration",
			  path, found);
		goto out;
	}
	r = 0;
out:
	(void)archive_read_free(layer->archive);
	close_fd(&layer->fd);
	return r;
}

/* Reads the blob. */
static la_ssize_t
oci_layer_fill(struct archive *archive, void *data, const void **bytes)
{
	struct layer *layer = data;
	uint64_t left = layer->blob->size - layer->at;
	size_t n = left < CHUNK ? (size_t)left : CHUNK;
	ssize_t got = (ssize_t)n;

	if (layer->fd >= 0)
		got = read_full(layer->fd, layer->packed, n);
	else if (n)
		memcpy(layer->packed, layer->blob->data + layer->at, n);
	if (got < 0) {
		error_sys(layer->err, "failed to read %s", layer->blob->path);
		archive_set_error(archive, EIO, "failed to read");
		layer->has_failed = true;
		return -1;
	}
	layer->at += (uint64_t)got;
	sha256_update(&layer->packed_hash, (size_t)got, layer->packed);
	report_progress(layer->build->report, layer->at, layer->blob->size);
	*bytes = layer->packed;
	return got;
}

/* Reads the tar in the blob. */
static ssize_t
oci_layer_next(void *data, const void **bytes, struct error *err)
{
	struct layer *layer = data;
	la_ssize_t n = archive_read_data(layer->archive, layer->bytes, sizeof(layer->bytes));

	if (n < 0) {
		if (!layer->has_failed)
			error_set(err, ERROR_DATA_LOSS, "%s",
				  archive_error_string(layer->archive) ?: "damaged layer");
		layer->has_failed = true;
		return -1;
	}
	sha256_update(&layer->hash, (size_t)n, layer->bytes);
	*bytes = layer->bytes;
	return n;
}
