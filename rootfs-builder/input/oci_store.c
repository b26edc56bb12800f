/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/input/oci_store.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/tarread.h"
#include "rootfs-builder/image/content.h"
#include "rootfs-builder/work/hash.h"

#define JSON_DOCUMENT_MAX ((uint64_t)4 << 20)
#define CHUNK             ((size_t)64 << 10)
#define HEX_LEN           (2 * SHA256_DIGEST_SIZE)

static ssize_t
oci_store_next(void *data, const void **bytes, struct error *err)
{
	static uint8_t chunk[CHUNK];
	const int *fd = data;

	*bytes = chunk;
	return tar_read_fd(*fd, chunk, sizeof(chunk), err);
}

int
oci_store_load(struct image *store, struct build *build, const char *path, struct error *err)
{
	auto_close int fd = -1;
	struct image kept;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to stat %s", path);
	if (S_ISDIR(st.st_mode))
		return image_add_tree(store, path, false, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_sys(err, "failed to open %s", path);
	kept = build->image;
	build->image = IMAGE_INIT;
	r = tar_read(build, "the archive", oci_store_next, &fd, false, err);
	*store = build->image;
	build->image = kept;
	return r;
}

int
oci_store_path(const char *digest, char out[OCI_PATH_LEN + 1], struct error *err)
{
	if (!digest || strncmp(digest, "sha256:", 7) != 0)
		return error_set(err, ERROR_UNIMPLEMENTED, "unsupported digest %.100s",
				 digest ? digest : "(none)");
	if (strlen(digest) != 7 + HEX_LEN || strspn(digest + 7, "0123456789abcdef") != HEX_LEN)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid digest %.100s", digest);
	(void)snprintf(out, OCI_PATH_LEN + 1, "blobs/sha256/%s", digest + 7);
	return 0;
}

struct document {
	uint8_t *bytes;
	size_t n;
	struct sha256_ctx hash;
};

static int
oci_store_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct document *document = data;

	(void)err;
	sha256_update(&document->hash, n, bytes);
	memcpy(document->bytes + document->n, bytes, n);
	document->n += n;
	return 0;
}

int
oci_store_json(const struct image *store, const char *path, const char *digest,
	       char found[HASH_DIGEST_LEN + 1], json_t **out, struct error *err)
{
	const struct image_entry *entry = image_resolve(store, path, err);
	struct document document = { .n = 0 };
	json_error_t why;

	if (!entry)
		return error_set(err, ERROR_NOT_FOUND, "no %s in the layout", path);
	if (!S_ISREG(entry->mode) || entry->size > JSON_DOCUMENT_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a file of at most 4 MiB",
				 path);
	document.bytes = malloc(entry->size + 1);
	if (!document.bytes)
		return error_nomem(err, "reading a JSON document");
	sha256_init(&document.hash);
	if (content_read(entry, oci_store_take, &document, err) < 0) {
		free(document.bytes);
		return -1;
	}
	hash_digest(&document.hash, found);
	*out = json_loadb((const char *)document.bytes, document.n, JSON_REJECT_DUPLICATES, &why);
	free(document.bytes);
	if (digest && strcmp(found, digest) != 0) {
		json_decref(steal_ptr(out));
		return error_set(err, ERROR_DATA_LOSS, "%s is damaged: its digest is %s", path,
				 found);
	}
	if (!*out)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: line %d: %s", path, why.line,
				 why.text);
	return 0;
}

int
oci_store_blob(const struct image *store, const char *digest, json_t **out, struct error *err)
{
	char path[OCI_PATH_LEN + 1], found[HASH_DIGEST_LEN + 1];

	if (oci_store_path(digest, path, err) < 0)
		return -1;
	return oci_store_json(store, path, digest, found, out, err);
}
