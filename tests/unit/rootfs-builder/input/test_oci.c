/* SPDX-License-Identifier: Apache-2.0 */
/* Container images as input and output. */
#include <jansson.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/build_fixture.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INDEX    "application/vnd.oci.image.index.v1+json"
#define LAYER    "application/vnd.oci.image.layer.v1.tar"

static const char *dir;
static struct build *build;
static struct error err;

static void
init(void)
{
	dir = scratch_dir(NULL);
	build = build_begin(dir);
	put_text(path_in(dir, "image/oci-layout"), "{\"imageLayoutVersion\": \"1.0.0\"}");
}

static void
fini(void)
{
	build_end();
	scratch_fini();
}

TestSuite(oci, .init = init, .fini = fini);

/* Digests of the blobs of a test, "sha256:..."; room for them. */
struct digest {
	char text[72];
};

static struct digest
digest_of(const void *bytes, size_t n)
{
	uint8_t sum[SHA256_DIGEST_SIZE];
	struct digest digest = { "sha256:" };
	struct sha256_ctx hash;

	sha256_init(&hash);
	sha256_update(&hash, n, bytes);
	sha256_digest(&hash, sizeof(sum), sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		(void)snprintf(digest.text + 7 + i * 2, 3, "%02x", sum[i]);
	return digest;
}

static char *
blob_path(const struct digest *digest)
{
	return path_in(path_in(dir, "image/blobs/sha256"), digest->text + 7);
}

static struct digest put_blob(const char *format, ...) __attribute__((format(printf, 1, 2)));

static struct digest
put_blob(const char *format, ...)
{
	auto_free char *text = NULL;
	struct digest digest;
	va_list ap;

	va_start(ap, format);
	REQUIRE_GE(vasprintf(&text, format, ap), 0);
	va_end(ap);
	digest = digest_of(text, strlen(text));
	put_text(blob_path(&digest), text);
	return digest;
}

/* Adds a layer, and stores the digest of its tar. */
static struct digest
put_layer(const struct member *members, const char *filter, struct digest *diff_id)
{
	const char *plain = path_in(dir, "layer.tar"), *packed = path_in(dir, "layer");
	struct digest digest;
	uint8_t *bytes;
	size_t n;

	put_tar(plain, members, NULL);
	bytes = get_file(plain, &n);
	*diff_id = digest_of(bytes, n);
	put_tar(packed, members, filter);
	bytes = get_file(packed, &n);
	digest = digest_of(bytes, n);
	put_file(blob_path(&digest), bytes, n, 0644);
	return digest;
}

static struct digest
put_config(const char *arch, const char *diff_ids)
{
	return put_blob(
		"{\"os\": \"linux\", \"architecture\": \"%s\", \"rootfs\": {\"type\": \"layers\", "
		"\"diff_ids\": [%s]}}",
		arch, diff_ids);
}

/* An image with one layer that has one file. */
static struct digest
put_image(const char *arch, const char *text)
{
	const struct member members[] = { { "file", S_IFREG | 0644, text }, { NULL } };
	struct digest diff_id, layer = put_layer(members, "gzip", &diff_id), config;
	auto_free char *quoted = NULL;

	REQUIRE_GT(asprintf(&quoted, "\"%s\"", diff_id.text), 0);
	config = put_config(arch, quoted);
	return put_blob("{\"schemaVersion\": 2, \"config\": {\"digest\": \"%s\"}, \"layers\": "
			"[{\"mediaType\": \"" LAYER "+gzip\", \"digest\": \"%s\"}]}",
			config.text, layer.text);
}

static void put_index(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
put_index(const char *format, ...)
{
	auto_free char *rows = NULL, *text = NULL;
	va_list ap;

	va_start(ap, format);
	REQUIRE_GE(vasprintf(&rows, format, ap), 0);
	va_end(ap);
	REQUIRE_GT(asprintf(&text, "{\"schemaVersion\": 2, \"manifests\": [%s]}", rows), 0);
	put_text(path_in(dir, "image/index.json"), text);
}

static int
read_image(const char *suffix)
{
	auto_free char *source = NULL;

	image_release(&build->image);
	REQUIRE_GT(asprintf(&source, "%s/image%s", dir, suffix), 0);
	return input_oci.read(build, source, &err);
}

/* An index with rows of "NAME", platform "ARCH" and manifest. */
#define ROW(type, name, arch)                                                            \
	"{\"mediaType\": \"" type "\", \"digest\": \"%s\", \"annotations\": "            \
	"{\"org.opencontainers.image.ref.name\": \"" name "\"}, \"platform\": {\"os\": " \
	"\"linux\", \"architecture\": \"" arch "\"}}"

Test(oci, selection)
{
	struct digest one = put_image("amd64", "one"), two = put_image("amd64", "two"),
		      arm = put_image("arm64", "arm"), list, config;
	auto_free char *at = NULL;

	put_index(ROW(MANIFEST, "v1", "amd64"), one.text);
	REQUIRE_OK(read_image(""), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = one\n");
	CHECK_STR(json_string_value(json_object_get(build->config, "architecture")), "amd64");
	(void)snprintf(config.text, sizeof(config.text), "%s", build->config_digest);
	CHECK_EQ(access(blob_path(&config), F_OK), 0, "%s", config.text);
	CHECK(input_oci.recognizes(path_in(dir, "image")));
	CHECK(!input_oci.recognizes(dir));

	put_index(ROW(MANIFEST, "v1", "amd64") ", " ROW(MANIFEST, "registry:5000/name:v2", "amd64"),
		  one.text, two.text);
	CHECK_FAILS(read_image(""), &err, ERROR_INVALID_ARGUMENT, "2 images match; name one of v1");
	REQUIRE_OK(read_image(":v2"), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = two\n");
	REQUIRE_OK(read_image(":registry:5000/name:v2"), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = two\n");
	CHECK_FAILS(read_image(":v3"), &err, ERROR_NOT_FOUND,
		    "no image v3 for linux/amd64; there is v1 for amd64, registry:5000/name:v2");
	REQUIRE_GT(asprintf(&at, "@%s", one.text), 0);
	REQUIRE_OK(read_image(at), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = one\n");

	/* An index in the index, with an attestation. */
	list = put_blob("{\"manifests\": [" ROW(MANIFEST, "", "arm64") ", " ROW(
				MANIFEST, "", "amd64") ", {\"mediaType\": \"" MANIFEST
						       "\", \"digest\": \"x\", "
						       "\"platform\": {\"os\": \"unknown\"}}]}",
			arm.text, two.text);
	put_index("{\"mediaType\": \"" INDEX "\", \"digest\": \"%s\"}", list.text);
	REQUIRE_OK(read_image(""), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = two\n");
	((struct build_spec *)build->spec)->arch = "aarch64";
	REQUIRE_OK(read_image(""), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = arm\n");
	((struct build_spec *)build->spec)->arch = "riscv64";
	CHECK_FAILS(read_image(""), &err, ERROR_NOT_FOUND, "no image for linux/riscv64");
	/* Without a platform in the index the configuration decides. */
	put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", arm.text);
	CHECK_FAILS(read_image(""), &err, ERROR_NOT_FOUND,
		    "the image is for linux/arm64, not for linux/riscv64");
}

Test(oci, layers)
{
	static const struct member first[] = {
		{ "keep", S_IFREG | 0644, "k", .uid = 5, .gid = 6 },
		{ "gone", S_IFREG | 0644, "g" },
		{ "tree/", S_IFDIR | 0755 },
		{ "tree/a/b", S_IFREG | 0644, "b" },
		{ "opaque/", S_IFDIR | 0755 },
		{ "opaque/old", S_IFREG | 0644, "o" },
		{ "was-dir/", S_IFDIR | 0755 },
		{ "was-dir/x", S_IFREG | 0644, "x" },
		{ "was-link", S_IFLNK | 0777, "opaque" },
		{ "was-file", S_IFREG | 0644, "f" },
		{ "linked", S_IFREG | 0644, "l", .xattr = "user.x", .value = "1" },
		{ "link", S_IFREG | 0644, .link = "linked" },
		{ NULL },
	};
	static const struct member second[] = {
		{ ".wh.gone", S_IFREG },
		{ ".wh.never", S_IFREG },
		{ ".wh.tree", S_IFREG },
		/* Its parent was removed by the whiteout. */
		{ "tree/new", S_IFREG | 0644, "n" },
		{ "opaque/new", S_IFREG | 0644, "n" },
		/* Entries of the same layer stay, wherever the whiteout is. */
		{ "opaque/.wh..wh..opq", S_IFREG },
		{ ".wh..wh.plnk", S_IFDIR },
		{ "was-dir", S_IFREG | 0644, "now a file" },
		{ "was-link/", S_IFDIR | 0700 },
		{ "was-link/y", S_IFREG | 0644, "y" },
		{ "was-file/", S_IFDIR | 0711 },
		{ ".wh.linked", S_IFREG },
		{ NULL },
	};
	static const char *const filters[] = { NULL, "gzip", "zstd" };
	static const char *const types[] = { "", "+gzip", "+zstd" };

	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		struct digest ids[2], a = put_layer(first, filters[i], &ids[0]),
				      b = put_layer(second, filters[i], &ids[1]), config;
		struct digest manifest;
		auto_free char *quoted = NULL;

		REQUIRE_GT(asprintf(&quoted, "\"%s\", \"%s\"", ids[0].text, ids[1].text), 0);
		config = put_config("amd64", quoted);
		manifest = put_blob("{\"config\": {\"digest\": \"%s\"}, \"layers\": ["
				    "{\"mediaType\": \"" LAYER "%s\", \"digest\": \"%s\"}, "
				    "{\"mediaType\": \"" LAYER "%s\", \"digest\": \"%s\"}]}",
				    config.text, types[i], a.text, types[i], b.text);
		put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", manifest.text);
		REQUIRE_OK(read_image(""), &err);
		CHECK_STR(describe(&build->image), "100644 5:6 keep = k\n"
						   "100644 0:0 link = l [1] {user.x=1}\n"
						   "040755 0:0 opaque\n"
						   "100644 0:0 opaque/new = n\n"
						   "040755 0:0 tree\n"
						   "100644 0:0 tree/new = n\n"
						   "100644 0:0 was-dir = now a file\n"
						   "040711 0:0 was-file\n"
						   "040700 0:0 was-link\n"
						   "100644 0:0 was-link/y = y\n");
	}
}

/* A layer as eStargz and pigz make it: several gzip members, one after the other. */
Test(oci, concatenated_gzip)
{
	static const struct member members[] = { { "file", S_IFREG | 0644, "x" }, { NULL } };
	char *const make[] = { "sh", "-c",
			       "head -c 700 layer.tar | gzip -n >two && "
			       "tail -c +701 layer.tar | gzip -n >>two",
			       NULL };
	struct digest diff_id, layer, config, manifest;
	auto_free char *quoted = NULL;
	uint8_t *bytes;
	size_t n;

	(void)put_layer(members, NULL, &diff_id);
	REQUIRE_EQ(run_program(dir, NULL, make, NULL), 0);
	bytes = get_file(path_in(dir, "two"), &n);
	layer = digest_of(bytes, n);
	put_file(blob_path(&layer), bytes, n, 0644);
	REQUIRE_GT(asprintf(&quoted, "\"%s\"", diff_id.text), 0);
	config = put_config("amd64", quoted);
	manifest = put_blob("{\"config\": {\"digest\": \"%s\"}, \"layers\": [{\"mediaType\": "
			    "\"" LAYER "+gzip\", \"digest\": \"%s\"}]}",
			    config.text, layer.text);
	put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", manifest.text);
	REQUIRE_OK(read_image(""), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = x\n");
}

/* A change of any blob is found. */
Test(oci, damaged_blobs)
{
	struct digest manifest = put_image("amd64", "text");
	char *const list[] = { "sh", "-c", "ls image/blobs/sha256", NULL };
	char *names, *name;
	size_t n = 0;

	put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", manifest.text);
	REQUIRE_EQ(run_program(dir, NULL, list, &names), 0);
	while ((name = strsep(&names, "\n")) && *name) {
		const char *path = path_in(path_in(dir, "image/blobs/sha256"), name);
		size_t size;
		uint8_t *bytes = get_file(path, &size);

		/* Padding of JSON and of tar. */
		auto_free uint8_t *more = calloc(1, size + 1);

		memcpy(more, bytes, size);
		more[size] = ' ';
		put_file(path, more, size + 1, 0644);
		CHECK_FAILS(read_image(""), &err, ERROR_DATA_LOSS,
			    "damaged: its digest is sha256:", "%s", path);
		put_file(path, bytes, size / 2, 0644);
		CHECK_FAILS(read_image(""), &err, ERROR_DATA_LOSS, "", "%s", path);
		REQUIRE_EQ(unlink(path), 0);
		CHECK_FAILS(read_image(""), &err, ERROR_NOT_FOUND, name);
		put_file(path, bytes, size, 0644);
		n++;
	}
	CHECK_EQ(n, 3);
	CHECK_OK(read_image(""), &err);
}

Test(oci, invalid_images)
{
	static const struct {
		const char *index;
		enum error_code code;
		const char *text;
	} rows[] = {
		{ "", ERROR_NOT_FOUND, "there is none" },
		{ "[]", ERROR_NOT_FOUND, "there is none" },
		{ "{\"mediaType\": \"" MANIFEST "\"}", ERROR_UNIMPLEMENTED, "digest (none)" },
		{ "{\"mediaType\": \"" MANIFEST "\", \"digest\": \"sha512:00\"}",
		  ERROR_UNIMPLEMENTED, "unsupported digest sha512:00" },
		{ "{\"mediaType\": \"" MANIFEST "\", \"digest\": \"sha256:../../../x\"}",
		  ERROR_INVALID_ARGUMENT, "invalid digest" },
		{ "{\"mediaType\": \"" INDEX "\", \"digest\": 7}", ERROR_UNIMPLEMENTED,
		  "digest (none)" },
		{ "{", ERROR_INVALID_ARGUMENT, "index.json: line 1:" },
	};
	struct digest manifest, config;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		put_index("%s", rows[i].index);
		CHECK_FAILS(read_image(""), &err, rows[i].code, rows[i].text, "%s", rows[i].index);
	}
	put_text(path_in(dir, "image/index.json"), "7");
	CHECK_FAILS(read_image(""), &err, ERROR_INVALID_ARGUMENT, "index.json");
	put_text(path_in(dir, "image/index.json"), "{}");
	CHECK_FAILS(read_image(""), &err, ERROR_INVALID_ARGUMENT, "index without manifests");

	config = put_config("amd64", "\"sha256:0\"");
	manifest = put_blob("{\"config\": {\"digest\": \"%s\"}, \"layers\": []}", config.text);
	put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", manifest.text);
	CHECK_FAILS(read_image(""), &err, ERROR_INVALID_ARGUMENT, "differ in the number of layers");
	manifest = put_blob("{\"config\": {\"digest\": \"%s\"}, \"layers\": [{\"mediaType\": "
			    "\"" LAYER "+gzip+encrypted\"}]}",
			    config.text);
	put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", manifest.text);
	CHECK_FAILS(read_image(""), &err, ERROR_UNIMPLEMENTED, "+encrypted");
	put_text(path_in(dir, "image/oci-layout"), "{\"imageLayoutVersion\": \"2.0.0\"}");
	CHECK_FAILS(read_image(""), &err, ERROR_UNIMPLEMENTED, "version 2.0.0 of the layout");
	CHECK_FAILS(input_oci.read(build, path_in(dir, "none:x"), &err), &err, ERROR_NOT_FOUND,
		    "none");
	CHECK_FAILS(input_oci.read(build, dir, &err), &err, ERROR_INVALID_ARGUMENT,
		    "not a container image");
}

/* The configuration is bound to the content of the layers, not only to their compressed form. */
Test(oci, wrong_diff_id)
{
	static const struct member members[] = { { "file", S_IFREG | 0644, "x" }, { NULL } };
	struct digest diff_id, layer = put_layer(members, "gzip", &diff_id), config, manifest;

	config = put_config("amd64", "\"sha256:00\"");
	manifest = put_blob("{\"config\": {\"digest\": \"%s\"}, \"layers\": [{\"mediaType\": "
			    "\"" LAYER "+gzip\", \"digest\": \"%s\"}]}",
			    config.text, layer.text);
	put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", manifest.text);
	CHECK_FAILS(read_image(""), &err, ERROR_DATA_LOSS, "not that of the configuration");
}

/* A tar of a layout, and what docker save wrote before version 25. */
Test(oci, archives)
{
	char *const pack[] = { "tar", "-C", "image", "-czf", "image.tar.gz", ".", NULL };
	char *const docker[] = {
		"sh", "-c",
		"mkdir -p docker/a docker/b && cp layer.tar docker/a/layer.tar && "
		"ln -s ../a/layer.tar docker/b/layer.tar && cp config docker/config.json && "
		"printf '[{\"Config\": \"config.json\", \"RepoTags\": [\"example/name:v1\"], "
		"\"Layers\": [\"b/layer.tar\"]}, {\"Config\": \"config.json\", \"RepoTags\": "
		"[\"example/other:v2\"], \"Layers\": [\"a/layer.tar\"]}]' >docker/manifest.json && "
		"tar -C docker -cf image.docker .",
		NULL
	};
	struct digest manifest = put_image("amd64", "text"), diff_id, config;
	static const struct member members[] = { { "file", S_IFREG | 0644, "x" }, { NULL } };
	auto_free char *quoted = NULL;
	uint8_t *bytes;
	char *out;
	size_t n;

	put_index("{\"mediaType\": \"" MANIFEST "\", \"digest\": \"%s\"}", manifest.text);
	REQUIRE_EQ(run_program(dir, NULL, pack, &out), 0, "%s", out);
	REQUIRE_OK(read_image(".tar.gz"), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = text\n");

	(void)put_layer(members, NULL, &diff_id);
	REQUIRE_GT(asprintf(&quoted, "\"%s\"", diff_id.text), 0);
	config = put_config("amd64", quoted);
	bytes = get_file(blob_path(&config), &n);
	put_file(path_in(dir, "config"), bytes, n, 0644);
	REQUIRE_EQ(run_program(dir, NULL, docker, &out), 0, "%s", out);
	REQUIRE_OK(read_image(".docker:v1"), &err);
	CHECK_STR(describe(&build->image), "100644 0:0 file = x\n");
	REQUIRE_OK(read_image(".docker:example/other:v2"), &err);
	CHECK_FAILS(read_image(".docker"), &err, ERROR_INVALID_ARGUMENT,
		    "2 images match; name one of example/name:v1, example/other:v2");
	CHECK_FAILS(read_image(".docker:v3"), &err, ERROR_NOT_FOUND, "0 images match");
}

/* The output is an input with the same files. */
Test(oci, round_trip)
{
	static const enum pack_format formats[] = { PACK_NONE, PACK_GZIP, PACK_ZSTD };
	static const struct member members[] = {
		{ "a", S_IFREG | 04755, "a", .uid = 7, .xattr = "user.x", .value = "1" },
		{ "b", S_IFREG | 04755, .link = "a" },
		{ "dev/console", S_IFCHR | 0600 },
		{ NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		auto_free char *name = NULL, *before = NULL;
		const char *path;

		REQUIRE_GT(asprintf(&name, "out%zu", i), 0);
		path = path_in(dir, name);
		put_tar(path_in(dir, "in.tar"), members, NULL);
		image_release(&build->image);
		REQUIRE_OK(input_tar.read(build, path_in(dir, "in.tar"), &err), &err);
		before = strdup(describe(&build->image));
		((struct build_spec *)build->spec)->compress = formats[i];
		((struct build_spec *)build->spec)->output = path;
		REQUIRE_OK(output_oci.write(build, path, &err), &err);
		image_release(&build->image);
		REQUIRE_OK(input_oci.read(build, path, &err), &err);
		CHECK_STR(describe(&build->image), before);
	}
	((struct build_spec *)build->spec)->has_compress = true;
	((struct build_spec *)build->spec)->compress = PACK_XZ;
	CHECK_FAILS(output_oci.check(build->spec, &err), &err, ERROR_INVALID_ARGUMENT, "gzip");
}
