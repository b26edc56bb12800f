/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a container image, as an OCI image layout (a directory, or a tar of one) or as written by
 * `docker save`. Format: https://github.com/opencontainers/image-spec, version 1.1.
 *
 *   index.json -> [index ->] manifest -> config, layers
 *   manifest.json -> config, layers                        (docker save, before version 25)
 *
 * The digest of every blob is verified, and that of every layer without its compression. Of the
 * configuration only the platform matters here; it is kept for a description of the image.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/image/content.h"
#include "rootfs-builder/archive/tarread.h"
#include "rootfs-builder/guest/arch.h"

#define JSON_DOCUMENT_MAX ((uint64_t)4 << 20)
/* An index in an index in the index. */
#define INDEX_DEPTH_MAX 4
#define CHUNK           ((size_t)64 << 10)
#define HEX_LEN         (2 * SHA256_DIGEST_SIZE)

struct oci {
	struct build *build;
	/* Tag or name of the image, or "sha256:...", or NULL. */
	const char *wanted;
	/* Files of the layout. */
	struct image store;
	/* Architecture as in Go. */
	const char *arch;
	/* Manifests that were seen, for the message if none is chosen. */
	char seen[200];
	/* The chosen manifest, and its digest. */
	json_t *manifest;
	char digest[sizeof("sha256:") + HEX_LEN];
	unsigned candidates;
	/* The digest of the document that was loaded last. */
	char loaded[sizeof("sha256:") + HEX_LEN];
};

/* The bytes of one blob on their way to the reader of a tar. */
struct layer {
	struct oci *oci;
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

static const char *const manifest_types[] = {
	"application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json",
};
static const char *const index_types[] = {
	"application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json",
};
static const char *const layer_types[] = {
	"application/vnd.oci.image.layer.v1.tar",
	"application/vnd.oci.image.layer.v1.tar+gzip",
	"application/vnd.oci.image.layer.v1.tar+zstd",
	"application/vnd.oci.image.layer.nondistributable.v1.tar",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
	"application/vnd.docker.image.rootfs.diff.tar",
	"application/vnd.docker.image.rootfs.diff.tar.gzip",
	"application/vnd.docker.image.rootfs.diff.tar.zstd",
};

static int oci_load_store(struct oci *oci, const char *path, struct error *err);
static int oci_load_json(struct oci *oci, const char *path, const char *digest, json_t **out,
			 struct error *err);
static int oci_choose(struct oci *oci, json_t *index, bool is_chosen, unsigned depth,
		      struct error *err);
static int oci_take_manifest(struct oci *oci, json_t *descriptor, struct error *err);
static int oci_read_layout(struct oci *oci, struct error *err);
static int oci_read_docker(struct oci *oci, struct error *err);
static int oci_check_config(struct oci *oci, json_t *config, struct error *err);
static int oci_add_layer(struct oci *oci, const char *path, const char *digest, const char *diff_id,
			 struct error *err);
static ssize_t layer_next(void *data, const void **bytes, struct error *err);
static la_ssize_t layer_fill(struct archive *archive, void *data, const void **bytes);

static bool
oci_is_one_of(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; text && i < n; i++) {
		if (!strcmp(text, list[i]))
			return true;
	}
	return false;
}

static const char *
oci_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool
oci_recognizes(const char *source)
{
	auto_free char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/oci-layout", source) < 0) {
		path = NULL;
		return false;
	}
	return stat(path, &st) == 0;
}

/* Splits "PATH[:NAME]" or "PATH@sha256:..." unless a file has the whole name. */
static char *
oci_split(const char *source, const char **wanted)
{
	char *copy = strdup(source), *at;
	struct stat st;

	*wanted = NULL;
	if (!copy || stat(copy, &st) == 0)
		return copy;
	at = strstr(copy, "@sha256:");
	/* A name may have colons, too: "registry:5000/name:tag". */
	for (char *colon = strchr(copy, ':'); !at && colon; colon = strchr(colon + 1, ':')) {
		*colon = '\0';
		if (stat(copy, &st) == 0)
			at = colon;
		*colon = ':';
	}
	if (at) {
		*at = '\0';
		*wanted = at + 1;
	}
	return copy;
}

static int
oci_read(struct build *build, const char *source, struct error *err)
{
	struct oci oci = {
		.build = build,
		.store = IMAGE_INIT,
		.arch = arch_find(build->spec->arch)->oci,
	};
	auto_free char *path = oci_split(source, &oci.wanted);
	int r;

	if (!path)
		return error_nomem(err, "reading an image");
	r = oci_load_store(&oci, path, err);
	if (r == 0) {
		if (image_find(&oci.store, "index.json"))
			r = oci_read_layout(&oci, err);
		else if (image_find(&oci.store, "manifest.json"))
			r = oci_read_docker(&oci, err);
		else
			r = error_set(err, ERROR_INVALID_ARGUMENT,
				      "no index.json or manifest.json: not a container image");
	}
	json_decref(oci.manifest);
	image_release(&oci.store);
	return r < 0 ? error_wrap(err, "failed to read the image %s", path) : 0;
}

static ssize_t
oci_next(void *data, const void **bytes, struct error *err)
{
	static uint8_t chunk[CHUNK];
	const int *fd = data;

	*bytes = chunk;
	return tar_read_fd(*fd, chunk, sizeof(chunk), err);
}

/* Lists the files of the layout; those of an archive are unpacked to the work directory. */
static int
oci_load_store(struct oci *oci, const char *path, struct error *err)
{
	struct build *build = oci->build;
	auto_close int fd = -1;
	struct image kept;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to stat %s", path);
	if (S_ISDIR(st.st_mode))
		return image_add_tree(&oci->store, path, false, err);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return error_sys(err, "failed to open %s", path);
	kept = build->image;
	build->image = IMAGE_INIT;
	r = tar_read(build, "the archive", oci_next, &fd, false, err);
	oci->store = build->image;
	build->image = kept;
	return r;
}

static void
oci_hex(const uint8_t sum[SHA256_DIGEST_SIZE], char out[sizeof("sha256:") + HEX_LEN])
{
	memcpy(out, "sha256:", 7);
	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
		(void)snprintf(out + 7 + i * 2, 3, "%02x", sum[i]);
}

/* Stores the path of a blob in the layout. */
static int
oci_blob_path(const char *digest, char *out, size_t size, struct error *err)
{
	if (!digest || strncmp(digest, "sha256:", 7) != 0)
		return error_set(err, ERROR_UNIMPLEMENTED, "unsupported digest %.100s",
				 digest ? digest : "(none)");
	if (strlen(digest) != 7 + HEX_LEN || strspn(digest + 7, "0123456789abcdef") != HEX_LEN)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid digest %.100s", digest);
	(void)snprintf(out, size, "blobs/sha256/%s", digest + 7);
	return 0;
}

struct document {
	uint8_t *bytes;
	size_t n;
	struct sha256_ctx hash;
};

static int
oci_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct document *document = data;

	(void)err;
	sha256_update(&document->hash, n, bytes);
	memcpy(document->bytes + document->n, bytes, n);
	document->n += n;
	return 0;
}

/* Loads a JSON object or array; its digest is checked unless that is NULL. */
static int
oci_load_json(struct oci *oci, const char *path, const char *digest, json_t **out,
	      struct error *err)
{
	char found[sizeof("sha256:") + HEX_LEN];
	const struct image_entry *entry = image_resolve(&oci->store, path, err);
	uint8_t sum[SHA256_DIGEST_SIZE];
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
	if (content_read(entry, oci_take, &document, err) < 0) {
		free(document.bytes);
		return -1;
	}
	sha256_digest(&document.hash, sizeof(sum), sum);
	oci_hex(sum, found);
	memcpy(oci->loaded, found, sizeof(oci->loaded));
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

static int
oci_load_blob(struct oci *oci, const char *digest, json_t **out, struct error *err)
{
	char path[sizeof("blobs/sha256/") + HEX_LEN];

	if (oci_blob_path(digest, path, sizeof(path), err) < 0)
		return -1;
	return oci_load_json(oci, path, digest, out, err);
}

static int
oci_read_layout(struct oci *oci, struct error *err)
{
	json_t *layout = NULL, *index = NULL, *config = NULL, *layers, *diff_ids;
	const char *version;
	int r;

	if (oci_load_json(oci, "oci-layout", NULL, &layout, err) < 0)
		return -1;
	version = oci_text(layout, "imageLayoutVersion");
	r = version && !strncmp(version, "1.", 2)
		    ? 0
		    : error_set(err, ERROR_UNIMPLEMENTED, "unsupported version %.40s of the layout",
				version ? version : "(none)");
	json_decref(layout);
	if (r < 0 || oci_load_json(oci, "index.json", NULL, &index, err) < 0)
		return -1;
	r = oci_choose(oci, index, !oci->wanted, 0, err);
	json_decref(index);
	if (r < 0)
		return -1;
	if (!oci->manifest)
		return error_set(err, ERROR_NOT_FOUND, "no image %s%sfor linux/%s; there is %s",
				 oci->wanted ? oci->wanted : "", oci->wanted ? " " : "", oci->arch,
				 oci->seen[0] ? oci->seen : "none");
	if (oci->candidates > 1)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%u images match; name one of %s after a colon", oci->candidates,
				 oci->seen);
	if (oci_load_blob(oci, oci_text(json_object_get(oci->manifest, "config"), "digest"),
			  &config, err) < 0)
		return error_wrap(err, "failed to load the configuration");
	layers = json_object_get(oci->manifest, "layers");
	diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	r = oci_check_config(oci, config, err);
	if (r == 0 &&
	    (!json_is_array(layers) || json_array_size(layers) != json_array_size(diff_ids)))
		r = error_set(err, ERROR_INVALID_ARGUMENT,
			      "manifest and configuration differ in the number of layers");
	for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
		json_t *layer = json_array_get(layers, i);
		const char *type = oci_text(layer, "mediaType"), *digest;
		char path[sizeof("blobs/sha256/") + HEX_LEN];

		digest = oci_text(layer, "digest");
		if (!oci_is_one_of(type, layer_types, ARRAY_LEN(layer_types)))
			r = error_set(err, ERROR_UNIMPLEMENTED, "layer of the unsupported type %s",
				      type ? type : "(none)");
		else
			r = oci_blob_path(digest, path, sizeof(path), err);
		report_step(oci->build->report, "reading layer %zu of %zu", i + 1,
			    json_array_size(layers));
		if (r == 0)
			r = oci_add_layer(oci, path, digest,
					  json_string_value(json_array_get(diff_ids, i)), err);
	}
	json_decref(config);
	if (r == 0)
		report_fact(oci->build->report, "image_manifest", oci->digest);
	return r;
}

/* Notes a manifest for messages. */
static void
oci_note(struct oci *oci, const char *name, const char *platform)
{
	size_t n = strlen(oci->seen);

	(void)snprintf(oci->seen + n, sizeof(oci->seen) - n, "%s%.60s%s%s", n ? ", " : "", name,
		       platform ? " for " : "", platform ? platform : "");
}

static bool
oci_matches(const struct oci *oci, const json_t *descriptor)
{
	static const char *const keys[] = { "org.opencontainers.image.ref.name",
					    "io.containerd.image.name" };
	const json_t *annotations = json_object_get(descriptor, "annotations");
	const char *digest = oci_text(descriptor, "digest");

	if (digest && !strcmp(digest, oci->wanted))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *name = oci_text(annotations, keys[i]);
		const char *colon = name ? strrchr(name, ':') : NULL;

		if (name && !strcmp(name, oci->wanted))
			return true;
		/* The tag of "registry/name:tag". */
		if (colon && !strcmp(colon + 1, oci->wanted))
			return true;
	}
	return false;
}

/* Searches an index. With is_chosen its parent was asked for, and only the platform decides. */
static int
oci_choose(struct oci *oci, json_t *index, bool is_chosen, unsigned depth, struct error *err)
{
	json_t *manifests = json_object_get(index, "manifests"), *descriptor, *inner;
	size_t i;

	if (!json_is_array(manifests))
		return error_set(err, ERROR_INVALID_ARGUMENT, "index without manifests");
	if (depth == INDEX_DEPTH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "indexes are nested too deeply");
	json_array_foreach(manifests, i, descriptor)
	{
		const char *type = oci_text(descriptor, "mediaType");
		const json_t *platform = json_object_get(descriptor, "platform");
		const char *os = oci_text(platform, "os"),
			   *arch = oci_text(platform, "architecture");
		const char *name = oci_text(json_object_get(descriptor, "annotations"),
					    "org.opencontainers.image.ref.name");
		bool chosen = is_chosen || oci_matches(oci, descriptor);
		int r;

		if (oci_is_one_of(type, index_types, ARRAY_LEN(index_types))) {
			if (oci_load_blob(oci, oci_text(descriptor, "digest"), &inner, err) < 0)
				return error_wrap(err, "failed to load an index");
			r = oci_choose(oci, inner, chosen, depth + 1, err);
			json_decref(inner);
			if (r < 0)
				return -1;
			continue;
		}
		if (!oci_is_one_of(type, manifest_types, ARRAY_LEN(manifest_types)))
			continue;
		/* Attestations are manifests for "unknown/unknown". */
		if (os && !strcmp(os, "unknown"))
			continue;
		oci_note(oci, name ? name : (oci_text(descriptor, "digest") ?: "?"), arch);
		if (!chosen || (os && strcmp(os, "linux") != 0) ||
		    (arch && strcmp(arch, oci->arch) != 0))
			continue;
		if (oci_take_manifest(oci, descriptor, err) < 0)
			return -1;
	}
	return 0;
}

static int
oci_take_manifest(struct oci *oci, json_t *descriptor, struct error *err)
{
	const char *digest = oci_text(descriptor, "digest");

	/* Two names of one image. */
	if (oci->manifest && digest && !strcmp(oci->digest, digest))
		return 0;
	oci->candidates++;
	if (oci->manifest)
		return 0;
	if (oci_load_blob(oci, digest, &oci->manifest, err) < 0)
		return error_wrap(err, "failed to load the manifest");
	memcpy(oci->digest, digest, sizeof(oci->digest));
	return 0;
}

static int
oci_check_config(struct oci *oci, json_t *config, struct error *err)
{
	const char *os = oci_text(config, "os"), *arch = oci_text(config, "architecture");

	if (!json_is_array(json_object_get(json_object_get(config, "rootfs"), "diff_ids")))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "the configuration is not that of a container image");
	json_decref(oci->build->config);
	oci->build->config = json_incref(config);
	memcpy(oci->build->config_digest, oci->loaded, sizeof(oci->build->config_digest));
	if ((os && strcmp(os, "linux") != 0) || (arch && strcmp(arch, oci->arch) != 0))
		return error_set(err, ERROR_NOT_FOUND, "the image is for %s/%s, not for linux/%s",
				 os ? os : "?", arch ? arch : "?", oci->arch);
	return 0;
}

/* Tells whether one of the tags of an image in manifest.json is wanted. */
static bool
oci_has_tag(const struct oci *oci, const json_t *image)
{
	const json_t *tags = json_object_get(image, "RepoTags");
	const char *config = oci_text(image, "Config");

	if (!oci->wanted)
		return true;
	if (config && !strncmp(oci->wanted, "sha256:", 7) && strstr(config, oci->wanted + 7))
		return true;
	for (size_t i = 0; i < json_array_size(tags); i++) {
		const char *tag = json_string_value(json_array_get(tags, i));
		const char *colon = tag ? strrchr(tag, ':') : NULL;

		if (tag &&
		    (!strcmp(tag, oci->wanted) || (colon && !strcmp(colon + 1, oci->wanted))))
			return true;
	}
	return false;
}

static int
oci_read_docker(struct oci *oci, struct error *err)
{
	json_t *images = NULL, *config = NULL, *layers, *diff_ids, *chosen = NULL;
	const char *path;
	int r = -1;

	if (oci_load_json(oci, "manifest.json", NULL, &images, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(images); i++) {
		json_t *image = json_array_get(images, i);

		oci_note(oci,
			 json_string_value(json_array_get(json_object_get(image, "RepoTags"), 0))
				 ?: "(no name)",
			 NULL);
		if (!oci_has_tag(oci, image))
			continue;
		chosen = image;
		oci->candidates++;
	}
	if (oci->candidates != 1) {
		error_set(err, oci->candidates ? ERROR_INVALID_ARGUMENT : ERROR_NOT_FOUND,
			  oci->candidates ? "%u images match; name one of %s after a colon"
					  : "%u images match; there is %s",
			  oci->candidates, oci->seen[0] ? oci->seen : "none");
		goto out;
	}
	path = oci_text(chosen, "Config");
	if (!path) {
		error_set(err, ERROR_INVALID_ARGUMENT, "manifest.json: image without Config");
		goto out;
	}
	if (oci_load_json(oci, path, NULL, &config, err) < 0 ||
	    oci_check_config(oci, config, err) < 0)
		goto out;
	layers = json_object_get(chosen, "Layers");
	diff_ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	if (json_array_size(layers) != json_array_size(diff_ids)) {
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "manifest and configuration differ in the number of layers");
		goto out;
	}
	r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
		path = json_string_value(json_array_get(layers, i));
		report_step(oci->build->report, "reading layer %zu of %zu", i + 1,
			    json_array_size(layers));
		r = oci_add_layer(oci, path ? path : "", NULL,
				  json_string_value(json_array_get(diff_ids, i)), err);
	}
out:
	json_decref(config);
	json_decref(images);
	return r;
}

/* Adds a layer. `digest` is that of the file, or NULL; diff_id that of the tar in it. */
static int
oci_add_layer(struct oci *oci, const char *path, const char *digest, const char *diff_id,
	      struct error *err)
{
	auto_free struct layer *layer = calloc(1, sizeof(*layer));
	char found[sizeof("sha256:") + HEX_LEN];
	uint8_t sum[SHA256_DIGEST_SIZE];
	struct archive_entry *entry;
	const void *ignored;
	ssize_t n = 1;
	int r = -1;

	if (!layer)
		return error_nomem(err, "reading a layer");
	layer->oci = oci;
	layer->err = err;
	layer->fd = -1;
	sha256_init(&layer->hash);
	sha256_init(&layer->packed_hash);
	layer->blob = image_resolve(&oci->store, path, err);
	if (!layer->blob || !S_ISREG(layer->blob->mode))
		return error_set(err, ERROR_NOT_FOUND, "layer %s is missing", path);
	if (layer->blob->source) {
		layer->fd = image_open_source(layer->blob, err);
		if (layer->fd < 0)
			return -1;
	}
	oci->build->image.layer++;
	layer->archive = archive_read_new();
	if (!layer->archive) {
		error_nomem(err, "reading a layer");
		goto out;
	}
	(void)archive_read_support_filter_gzip(layer->archive);
	(void)archive_read_support_filter_zstd(layer->archive);
	(void)archive_read_support_format_raw(layer->archive);
	if (archive_read_open(layer->archive, layer, NULL, layer_fill, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(layer->archive, &entry) != ARCHIVE_OK) {
		if (!layer->has_failed)
			error_set(err, ERROR_DATA_LOSS, "layer %s: %s", path,
				  archive_error_string(layer->archive) ?: "damaged");
		goto out;
	}
	if (tar_read(oci->build, path, layer_next, layer, true, err) < 0)
		goto out;
	/* Padding after the end of the tar belongs to the digest, and so does what follows the
	 * compressed data. */
	while (n > 0)
		n = layer_next(layer, &ignored, err);
	while (n == 0 && layer_fill(layer->archive, layer, &ignored) > 0)
		;
	if (n < 0 || layer->has_failed)
		goto out;
	sha256_digest(&layer->packed_hash, sizeof(sum), sum);
	oci_hex(sum, found);
	if (digest && strcmp(digest, found) != 0) {
		error_set(err, ERROR_DATA_LOSS, "layer %s is damaged: its digest is %s", path,
			  found);
		goto out;
	}
	sha256_digest(&layer->hash, sizeof(sum), sum);
	oci_hex(sum, found);
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
layer_fill(struct archive *archive, void *data, const void **bytes)
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
	report_progress(layer->oci->build->report, layer->at, layer->blob->size);
	*bytes = layer->packed;
	return got;
}

/* Reads the tar in the blob. */
static ssize_t
layer_next(void *data, const void **bytes, struct error *err)
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

const struct input_kind input_oci = {
	.name = "oci",
	.help = "an OCI image layout, a tar of one, or a docker archive: PATH[:TAG|@DIGEST]",
	.recognizes = oci_recognizes,
	.read = oci_read,
};
