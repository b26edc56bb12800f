/* SPDX-License-Identifier: Apache-2.0 */
/* Output: an OCI image layout with one layer. */
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json_put.h"
#include "lib/path.h"
#include "rootfs-builder/archive/tarwrite.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/work/hash.h"

#define JSON_MAX ((size_t)64 << 10)

/* A file in blobs/. */
struct blob {
	char digest[HASH_DIGEST_LEN + 1];
	uint64_t size;
};

struct layout_dir {
	struct build *build;
	const char *to;
	struct blob layer, config, manifest;
	/* Digest of the layer without compression. */
	char diff_id[HASH_DIGEST_LEN + 1];
	char created[40];
};

static int oci_write_layer(struct layout_dir *dir, struct error *err);
static int oci_write_documents(struct layout_dir *dir, struct error *err);

static int
oci_check(const struct build_spec *spec, struct error *err)
{
	if (spec->has_compress && spec->compress != PACK_GZIP && spec->compress != PACK_ZSTD &&
	    spec->compress != PACK_NONE)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "a layer of an OCI image is compressed with none, gzip or zstd");
	return 0;
}

static int
oci_set_time(int dirfd, const char *name, const struct stat *st, void *data, struct error *err)
{
	const struct layout_dir *dir = data;
	const struct timespec times[2] = { { .tv_sec = dir->build->spec->epoch },
					   { .tv_sec = dir->build->spec->epoch } };

	(void)st;
	if (utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "failed to set the time of %s", name);
	return 0;
}

static int
oci_write(struct build *build, const char *to, struct error *err)
{
	struct layout_dir dir = { .build = build, .to = to };
	time_t epoch = build->spec->epoch;
	static const char *const dirs[] = { "", "/blobs", "/blobs/sha256" };
	auto_close int fd = -1;
	struct tm tm;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		auto_free char *path = NULL;

		if (asprintf(&path, "%s%s", to, dirs[i]) < 0) {
			path = NULL;
			return error_nomem(err, "creating a layout");
		}
		if (mkdir(path, 0755) < 0)
			return error_sys(err, "failed to create the layout");
	}
	(void)gmtime_r(&epoch, &tm);
	(void)strftime(dir.created, sizeof(dir.created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (oci_write_layer(&dir, err) < 0 || oci_write_documents(&dir, err) < 0)
		return -1;
	fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "failed to open the layout");
	if (path_walk(fd, oci_set_time, &dir, err) < 0)
		return -1;
	report_fact(build->report, "image_manifest", dir.manifest.digest);
	return 0;
}

/* Renames a file to the name of its digest. */
static int
oci_add_blob(struct layout_dir *dir, const char *from, struct blob *blob, struct error *err)
{
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);
	auto_free char *path = NULL;
	struct sha256_ctx hash;
	uint8_t bytes[64 << 10];
	ssize_t n;

	if (fd < 0)
		return error_sys(err, "failed to open a blob");
	sha256_init(&hash);
	blob->size = 0;
	while ((n = read_full(fd, bytes, sizeof(bytes))) > 0) {
		sha256_update(&hash, (size_t)n, bytes);
		blob->size += (uint64_t)n;
	}
	if (n < 0)
		return error_sys(err, "failed to read a blob");
	hash_digest(&hash, blob->digest);
	if (asprintf(&path, "%s/blobs/sha256/%s", dir->to, blob->digest + 7) < 0) {
		path = NULL;
		return error_nomem(err, "creating a layout");
	}
	if (rename(from, path) < 0)
		return error_sys(err, "failed to rename a blob");
	return 0;
}

static int
oci_write_layer(struct layout_dir *dir, struct error *err)
{
	struct build *build = dir->build;
	auto_free char *path = work_path(build->work, "layer", err);
	struct sha256_ctx hash;

	if (!path || tar_write_file(build, path, build->spec->compress, &hash, err) < 0)
		return -1;
	hash_digest(&hash, dir->diff_id);
	report_step(build->report, "verifying the layer");
	if (tar_verify(build, path, err) < 0)
		return -1;
	return oci_add_blob(dir, path, &dir->layer, err);
}

/* Writes a document: to a blob, or to a file of the layout if name is not NULL. */
static int
oci_put_document(struct layout_dir *dir, const char *name, struct json_put *w, struct blob *blob,
		 struct error *err)
{
	auto_free char *path = NULL;
	auto_close int fd = -1;

	if (w->has_failed)
		return error_nomem(err, "creating a layout");
	if (asprintf(&path, "%s/%s", dir->to, name ? name : "document") < 0) {
		path = NULL;
		return error_nomem(err, "creating a layout");
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write_full(fd, buf_head(w->buf), buf_len(w->buf)) < 0)
		return error_sys(err, "failed to write the layout");
	return name ? 0 : oci_add_blob(dir, path, blob, err);
}

static void
oci_put_descriptor(struct json_put *w, const char *key, const char *type, const struct blob *blob)
{
	json_put_begin(w, key, '{');
	json_put_text(w, "mediaType", type);
	json_put_text(w, "digest", blob->digest);
	json_put_u64(w, "size", blob->size);
}

static const char *
oci_layer_type(enum pack_format format)
{
	if (format == PACK_NONE)
		return "application/vnd.oci.image.layer.v1.tar";
	return format == PACK_ZSTD ? "application/vnd.oci.image.layer.v1.tar+zstd"
				   : "application/vnd.oci.image.layer.v1.tar+gzip";
}

static void
oci_put_config(const struct layout_dir *dir, struct json_put *w)
{
	json_put_begin(w, NULL, '{');
	json_put_text(w, "created", dir->created);
	json_put_text(w, "architecture", arch_find(dir->build->spec->arch)->oci);
	json_put_text(w, "os", "linux");
	json_put_begin(w, "config", '{');
	json_put_begin(w, "Cmd", '[');
	json_put_text(w, NULL, "/init");
	json_put_end(w, ']');
	json_put_end(w, '}');
	json_put_begin(w, "rootfs", '{');
	json_put_text(w, "type", "layers");
	json_put_begin(w, "diff_ids", '[');
	json_put_text(w, NULL, dir->diff_id);
	json_put_end(w, ']');
	json_put_end(w, '}');
	json_put_begin(w, "history", '[');
	json_put_begin(w, NULL, '{');
	json_put_text(w, "created", dir->created);
	json_put_text(w, "created_by", "tatami-rootfs");
	json_put_end(w, '}');
	json_put_end(w, ']');
	json_put_end(w, '}');
}

static void
oci_put_manifest(const struct layout_dir *dir, struct json_put *w)
{
	json_put_begin(w, NULL, '{');
	json_put_i64(w, "schemaVersion", 2);
	json_put_text(w, "mediaType", "application/vnd.oci.image.manifest.v1+json");
	oci_put_descriptor(w, "config", "application/vnd.oci.image.config.v1+json", &dir->config);
	json_put_end(w, '}');
	json_put_begin(w, "layers", '[');
	oci_put_descriptor(w, NULL, oci_layer_type(dir->build->spec->compress), &dir->layer);
	json_put_end(w, '}');
	json_put_end(w, ']');
	json_put_begin(w, "annotations", '{');
	json_put_text(w, "org.opencontainers.image.created", dir->created);
	json_put_text(w, "org.opencontainers.image.title", "tatami guest");
	json_put_end(w, '}');
	json_put_end(w, '}');
}

static void
oci_put_index(const struct layout_dir *dir, struct json_put *w)
{
	json_put_begin(w, NULL, '{');
	json_put_i64(w, "schemaVersion", 2);
	json_put_text(w, "mediaType", "application/vnd.oci.image.index.v1+json");
	json_put_begin(w, "manifests", '[');
	oci_put_descriptor(w, NULL, "application/vnd.oci.image.manifest.v1+json", &dir->manifest);
	json_put_begin(w, "platform", '{');
	json_put_text(w, "architecture", arch_find(dir->build->spec->arch)->oci);
	json_put_text(w, "os", "linux");
	json_put_end(w, '}');
	json_put_begin(w, "annotations", '{');
	json_put_text(w, "org.opencontainers.image.ref.name", "latest");
	json_put_end(w, '}');
	json_put_end(w, '}');
	json_put_end(w, ']');
	json_put_end(w, '}');
}

static int
oci_write_documents(struct layout_dir *dir, struct error *err)
{
	const struct {
		const char *name;
		void (*put)(const struct layout_dir *dir, struct json_put *w);
		struct blob *blob;
	} rows[] = {
		{ NULL, oci_put_config, &dir->config },
		{ NULL, oci_put_manifest, &dir->manifest },
		{ "index.json", oci_put_index, NULL },
	};
	static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	struct buf text;
	struct json_put w;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++) {
		buf_init(&text, JSON_MAX);
		w = (struct json_put){ .buf = &text };
		rows[i].put(dir, &w);
		r = oci_put_document(dir, rows[i].name, &w, rows[i].blob, err);
		buf_release(&text);
	}
	if (r < 0)
		return -1;
	buf_init(&text, JSON_MAX);
	w = (struct json_put){ .buf = &text };
	w.has_failed = buf_append(&text, version, strlen(version)) < 0;
	r = oci_put_document(dir, "oci-layout", &w, NULL, err);
	buf_release(&text);
	return r;
}

const struct output_kind output_oci = {
	.name = "oci",
	.help = "an OCI image layout with one layer: a directory, which must not exist",
	.is_directory = true,
	.check = oci_check,
	.write = oci_write,
};
