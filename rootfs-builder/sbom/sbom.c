/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bill of materials of an image, in SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/):
 *
 *   document DESCRIBES image CONTAINS tatami STATIC_LINK its libraries
 *                            CONTAINS each package of a distribution, the kernel modules
 *                            CONTAINS "files of no package" CONTAINS each such file
 *
 * It depends on the image alone, as the image itself does.
 */
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdarg.h>
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
#include "lib/version.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/initrd_paths.h"
#include "rootfs-builder/image/content.h"
#include "rootfs-builder/work/hash.h"

#define DOCUMENT_MAX ((size_t)512 << 20)
#define PROGRAM_MAX  ((size_t)256 << 20)
/* Components of a program: NAME|VERSION|LICENSE|COMMIT, each with a ";" after it. */
#define COMPONENTS "@(#)tatami-components "
#define NONE       "NOASSERTION"

struct sbom {
	struct build *build;
	struct json_put w;
	/* The relationships, which follow the packages and files. */
	struct json_put relations;
	/* SHA-1 of each file of no package, in hexadecimal. */
	char (*sums)[SHA1_DIGEST_SIZE * 2 + 1];
	size_t n_files;
};

/* The members of a package. Each but the first three may be NULL. */
struct sbom_package {
	const char *id, *name, *version;
	const char *license, *supplier, *homepage, *purpose, *purl, *source_info, *file_name;
	const char *sha256, *verification;
};

static int sbom_put_document(struct sbom *s, const char *file, struct error *err);
static int sbom_put_image(struct sbom *s, const char *file, struct error *err);
static int sbom_put_components(struct sbom *s, struct error *err);
static int sbom_put_packages(struct sbom *s, struct error *err);
static int sbom_put_modules(struct sbom *s, struct error *err);
static int sbom_put_files(struct sbom *s, struct error *err);
static int sbom_store(const struct buf *text, const char *to, struct error *err);

static int
sbom_nomem(struct error *err)
{
	return error_nomem(err, "making a bill of materials");
}

int
sbom_write(struct build *build, const char *file, const char *to, struct error *err)
{
	struct buf text, relations;
	struct sbom s = {
		.build = build,
		.w = { .buf = &text },
		.relations = { .buf = &relations },
	};
	int r;

	buf_init(&text, DOCUMENT_MAX);
	buf_init(&relations, DOCUMENT_MAX);
	json_put_begin(&s.relations, NULL, '[');
	r = sbom_put_document(&s, file, err);
	json_put_end(&s.relations, ']');
	if (r == 0 && (s.w.has_failed || s.relations.has_failed))
		r = sbom_nomem(err);
	/* The last member, and the end of the document. */
	if (r == 0 && (buf_append(&text, ",\"relationships\":", 17) < 0 ||
		       buf_append(&text, buf_head(&relations), buf_len(&relations)) < 0 ||
		       buf_append(&text, "}\n", 2) < 0))
		r = sbom_nomem(err);
	if (r == 0)
		r = sbom_store(&text, to, err);
	free(s.sums);
	buf_release(&text);
	buf_release(&relations);
	return r;
}

static int
sbom_store(const struct buf *text, const char *to, struct error *err)
{
	auto_close int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write_full(fd, buf_head(text), buf_len(text)) < 0 || fsync(fd) < 0)
		return error_sys(err, "failed to write the bill of materials");
	return 0;
}

static void
sbom_relate(struct sbom *s, const char *from, const char *type, const char *to)
{
	json_put_begin(&s->relations, NULL, '{');
	json_put_text(&s->relations, "spdxElementId", from);
	json_put_text(&s->relations, "relationshipType", type);
	json_put_text(&s->relations, "relatedSpdxElement", to);
	json_put_end(&s->relations, '}');
}

static void
sbom_put_checksum(struct sbom *s, const char *algorithm, const char *value)
{
	json_put_begin(&s->w, NULL, '{');
	json_put_text(&s->w, "algorithm", algorithm);
	json_put_text(&s->w, "checksumValue", value);
	json_put_end(&s->w, '}');
}

static void
sbom_put_package(struct sbom *s, const struct sbom_package *p)
{
	struct json_put *w = &s->w;

	json_put_begin(w, NULL, '{');
	json_put_text(w, "SPDXID", p->id);
	json_put_text(w, "name", p->name);
	if (p->version)
		json_put_text(w, "versionInfo", p->version);
	if (p->file_name)
		json_put_text(w, "packageFileName", p->file_name);
	if (p->purpose)
		json_put_text(w, "primaryPackagePurpose", p->purpose);
	json_put_text(w, "supplier", p->supplier ? p->supplier : NONE);
	json_put_text(w, "downloadLocation", NONE);
	json_put_bool(w, "filesAnalyzed", p->verification != NULL);
	if (p->verification) {
		json_put_begin(w, "packageVerificationCode", '{');
		json_put_text(w, "packageVerificationCodeValue", p->verification);
		json_put_end(w, '}');
	}
	if (p->sha256) {
		json_put_begin(w, "checksums", '[');
		sbom_put_checksum(s, "SHA256", p->sha256);
		json_put_end(w, ']');
	}
	if (p->homepage &&
	    (!strncmp(p->homepage, "http://", 7) || !strncmp(p->homepage, "https://", 8)))
		json_put_text(w, "homepage", p->homepage);
	if (p->source_info)
		json_put_text(w, "sourceInfo", p->source_info);
	json_put_text(w, "licenseConcluded", NONE);
	json_put_text(w, "licenseDeclared", p->license ? p->license : NONE);
	json_put_text(w, "copyrightText", NONE);
	if (p->purl) {
		json_put_begin(w, "externalRefs", '[');
		json_put_begin(w, NULL, '{');
		json_put_text(w, "referenceCategory", "PACKAGE-MANAGER");
		json_put_text(w, "referenceType", "purl");
		json_put_text(w, "referenceLocator", p->purl);
		json_put_end(w, '}');
		json_put_end(w, ']');
	}
	json_put_end(w, '}');
}

static int
sbom_put_document(struct sbom *s, const char *file, struct error *err)
{
	const struct build_spec *spec = s->build->spec;
	const char *name = strrchr(spec->output, '/');
	const time_t epoch = spec->epoch;
	char created[32], text[160];
	struct json_put *w = &s->w;
	struct tm tm;

	name = name ? name + 1 : spec->output;
	(void)gmtime_r(&epoch, &tm);
	(void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_put_begin(w, NULL, '{');
	json_put_text(w, "spdxVersion", "SPDX-2.3");
	json_put_text(w, "dataLicense", "CC0-1.0");
	json_put_text(w, "SPDXID", "SPDXRef-DOCUMENT");
	json_put_text(w, "name", name);
	(void)snprintf(text, sizeof(text), "https://spdx.org/spdxdocs/tatami-rootfs-%s-%s",
		       spec->format->name, s->build->digest);
	json_put_text(w, "documentNamespace", text);
	json_put_begin(w, "creationInfo", '{');
	json_put_text(w, "created", created);
	json_put_begin(w, "creators", '[');
	(void)snprintf(text, sizeof(text), "Tool: tatami-rootfs-%s", tatami_version);
	json_put_text(w, NULL, text);
	json_put_end(w, ']');
	json_put_end(w, '}');
	sbom_relate(s, "SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image");
	json_put_begin(w, "packages", '[');
	if (sbom_put_image(s, file, err) < 0 || sbom_put_components(s, err) < 0 ||
	    sbom_put_packages(s, err) < 0 || sbom_put_modules(s, err) < 0)
		return -1;
	return sbom_put_files(s, err);
}

/* Stores the SHA-256 of a regular file in hexadecimal, or "" for anything else. */
static int
sbom_hash_file(const char *file, char out[SHA256_DIGEST_SIZE * 2 + 1], struct error *err)
{
	auto_close int fd = open(file, O_RDONLY | O_CLOEXEC);
	uint8_t bytes[65536], sum[SHA256_DIGEST_SIZE];
	struct sha256_ctx hash;
	struct stat st;
	ssize_t n;

	out[0] = '\0';
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "failed to open %s", file);
	if (!S_ISREG(st.st_mode))
		return 0;
	sha256_init(&hash);
	while ((n = read_full(fd, bytes, sizeof(bytes))) > 0) {
		sha256_update(&hash, (size_t)n, bytes);
		if (work_check(err) < 0)
			return -1;
	}
	if (n < 0)
		return error_sys(err, "failed to read %s", file);
	sha256_digest(&hash, sizeof(sum), sum);
	hash_put_hex(out, sum, sizeof(sum));
	return 0;
}

static int
sbom_put_image(struct sbom *s, const char *file, struct error *err)
{
	const struct build_spec *spec = s->build->spec;
	const char *name = strrchr(spec->output, '/');
	char sum[SHA256_DIGEST_SIZE * 2 + 1], info[160];

	name = name ? name + 1 : spec->output;
	if (sbom_hash_file(file, sum, err) < 0)
		return -1;
	(void)snprintf(info, sizeof(info), "format %s, %zu entries, digest of the entries %s",
		       spec->format->name, s->build->image.n, s->build->digest);
	sbom_put_package(s, &(struct sbom_package){
				    .id = "SPDXRef-Image",
				    .name = name,
				    .file_name = name,
				    .purpose = "OPERATING-SYSTEM",
				    .source_info = info,
				    .sha256 = sum[0] ? sum : NULL,
			    });
	return 0;
}

static int
sbom_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	return buf_append(data, bytes, n) < 0 ? sbom_nomem(err) : 0;
}

/* Finds the list of components in a program of the image. *list is NULL if it has none. */
static int
sbom_find_components(struct sbom *s, const char *path, char **list, struct error *err)
{
	struct error ignored;
	const struct image_entry *entry = image_resolve(&s->build->image, path, &ignored);
	struct buf program;
	int r;

	*list = NULL;
	if (!entry || !S_ISREG(entry->mode) || entry->size > PROGRAM_MAX)
		return 0;
	buf_init(&program, PROGRAM_MAX + 1);
	r = content_read(entry, sbom_take, &program, err);
	if (r == 0 && buf_append(&program, "", 1) < 0)
		r = sbom_nomem(err);
	if (r == 0) {
		const char *found = memmem(buf_head(&program), buf_len(&program), COMPONENTS,
					   strlen(COMPONENTS));

		if (found) {
			*list = strdup(found + strlen(COMPONENTS));
			r = *list ? 0 : sbom_nomem(err);
		}
	}
	buf_release(&program);
	return r;
}

/* Our program, and the libraries that are linked into it: it has the list itself, so that this is
 * right for any build of it. */
static int
sbom_put_components(struct sbom *s, struct error *err)
{
	auto_free char *list = NULL;
	char *rest, *row;

	if (sbom_find_components(s, INITRD_OWN_PATH, &list, err) < 0)
		return -1;
	rest = list;
	while ((row = strsep(&rest, ";")) && *row) {
		const char *name = strsep(&row, "|"), *version = strsep(&row, "|");
		const char *license = strsep(&row, "|");
		bool is_own = !strcmp(name, "tatami");
		char id[80], info[80], purl[160];

		if (!version || !license)
			break;
		(void)snprintf(id, sizeof(id), "SPDXRef-Component-%.40s", name);
		(void)snprintf(info, sizeof(info), "commit %.60s", row ? row : "");
		(void)snprintf(purl, sizeof(purl), "pkg:generic/%.60s@%.60s", name, version);
		sbom_put_package(s, &(struct sbom_package){
					    .id = id,
					    .name = name,
					    .version = version,
					    .license = *license ? license : NULL,
					    .purpose = is_own ? "APPLICATION" : "LIBRARY",
					    .source_info = is_own && row ? info : NULL,
					    .purl = purl,
				    });
		if (is_own)
			sbom_relate(s, "SPDXRef-Image", "CONTAINS", id);
		else
			sbom_relate(s, "SPDXRef-Component-tatami", "STATIC_LINK", id);
	}
	return 0;
}

static void
sbom_append(char *out, size_t size, const char *text)
{
	size_t at = strlen(out);

	(void)snprintf(out + at, size - at, "%s", text);
}

/* Appends text with all but unreserved characters and ":" as %XX, for package URLs. */
static void
sbom_escape(char *out, size_t size, const char *text)
{
	size_t at = strlen(out);

	for (; *text && at + 4 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-._~:", c)) {
			out[at++] = (char)c;
			out[at] = '\0';
		} else {
			at += (size_t)snprintf(out + at, size - at, "%%%02X", c);
		}
	}
}

static void
sbom_make_purl(const struct packages *all, const struct package *p, char out[1024])
{
	const char *vendor = all->distribution        ? all->distribution
			     : strcmp(p->type, "apk") ? "debian"
						      : "alpine";

	(void)snprintf(out, 1024, "pkg:%s/", p->type);
	sbom_escape(out, 1024, vendor);
	sbom_append(out, 1024, "/");
	sbom_escape(out, 1024, p->name);
	sbom_append(out, 1024, "@");
	sbom_escape(out, 1024, p->version);
	if (p->arch) {
		sbom_append(out, 1024, "?arch=");
		sbom_escape(out, 1024, p->arch);
	}
	if (all->release) {
		sbom_append(out, 1024, p->arch ? "&distro=" : "?distro=");
		sbom_escape(out, 1024, vendor);
		sbom_append(out, 1024, "-");
		sbom_escape(out, 1024, all->release);
	}
}

static int
sbom_put_packages(struct sbom *s, struct error *err)
{
	const struct packages *all = &s->build->packages;

	for (size_t i = 0; i < all->n; i++) {
		const struct package *p = &all->items[i];
		char id[80], purl[1024], info[160];

		(void)snprintf(id, sizeof(id), "SPDXRef-Package-%zu-%.40s", i, p->name);
		/* An identifier has letters, digits, "." and "-" only. */
		for (char *c = id; *c; c++) {
			if (strchr("+_~:", *c))
				*c = '-';
		}
		(void)snprintf(info, sizeof(info), "source package %.120s",
			       p->source ? p->source : p->name);
		sbom_make_purl(all, p, purl);
		sbom_put_package(
			s, &(struct sbom_package){
				   .id = id,
				   .name = p->name,
				   .version = p->version,
				   .license = p->license,
				   .supplier =
					   all->distribution && !strcmp(all->distribution, "debian")
						   ? "Organization: Debian"
						   : NULL,
				   .homepage = p->homepage,
				   .purl = purl,
				   .source_info = info,
			   });
		sbom_relate(s, "SPDXRef-Image", "CONTAINS", id);
		if (work_check(err) < 0)
			return -1;
	}
	if (all->has_rpm)
		report_warn(s->build->report,
			    "the bill of materials lacks the packages of rpm, whose database is "
			    "not read; their files are listed one by one");
	return 0;
}

/* The kernel whose modules are in the image. */
static int
sbom_put_modules(struct sbom *s, struct error *err)
{
	const struct image *image = &s->build->image;
	char seen[256] = "";

	(void)err;
	for (size_t i = 0; i < image->n; i++) {
		const char *path = image->entries[i]->path, *name;
		char release[128], purl[256], id[160];

		if (!strncmp(path, "usr/", 4))
			path += 4;
		if (strncmp(path, "lib/modules/", 12) != 0)
			continue;
		name = path + 12;
		(void)snprintf(release, sizeof(release), "%.*s", (int)strcspn(name, "/"), name);
		if (!*release || !strcmp(seen, release))
			continue;
		(void)snprintf(seen, sizeof(seen), "%s", release);
		(void)snprintf(id, sizeof(id), "SPDXRef-Modules-%.120s", release);
		for (char *c = id; *c; c++) {
			if (strchr("+_~:", *c))
				*c = '-';
		}
		(void)snprintf(purl, sizeof(purl), "pkg:generic/linux@");
		sbom_escape(purl, sizeof(purl), release);
		sbom_put_package(s, &(struct sbom_package){
					    .id = id,
					    .name = "linux modules",
					    .version = release,
					    .license = "GPL-2.0-only",
					    .purpose = "OPERATING-SYSTEM",
					    .purl = purl,
				    });
		sbom_relate(s, "SPDXRef-Image", "CONTAINS", id);
	}
	return 0;
}

struct sbom_sums {
	struct sha1_ctx sha1;
	struct sha256_ctx sha256;
};

static int
sbom_hash(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct sbom_sums *sums = data;

	sha1_update(&sums->sha1, n, bytes);
	sha256_update(&sums->sha256, n, bytes);
	return work_check(err);
}

static int
sbom_put_file(struct sbom *s, const struct image_entry *entry, struct error *err)
{
	char *sha1_text = s->sums[s->n_files], sha256_text[SHA256_DIGEST_SIZE * 2 + 1], id[40];
	uint8_t sha1_sum[SHA1_DIGEST_SIZE], sha256_sum[SHA256_DIGEST_SIZE];
	auto_free char *name = NULL;
	struct sbom_sums sums;

	sha1_init(&sums.sha1);
	sha256_init(&sums.sha256);
	if (content_read(entry, sbom_hash, &sums, err) < 0)
		return -1;
	sha1_digest(&sums.sha1, sizeof(sha1_sum), sha1_sum);
	sha256_digest(&sums.sha256, sizeof(sha256_sum), sha256_sum);
	hash_put_hex(sha1_text, sha1_sum, sizeof(sha1_sum));
	hash_put_hex(sha256_text, sha256_sum, sizeof(sha256_sum));
	if (asprintf(&name, "./%s", entry->path) < 0) {
		name = NULL;
		return sbom_nomem(err);
	}
	(void)snprintf(id, sizeof(id), "SPDXRef-File-%zu", s->n_files++);
	json_put_begin(&s->w, NULL, '{');
	json_put_text(&s->w, "SPDXID", id);
	json_put_text(&s->w, "fileName", name);
	json_put_begin(&s->w, "checksums", '[');
	sbom_put_checksum(s, "SHA1", sha1_text);
	sbom_put_checksum(s, "SHA256", sha256_text);
	json_put_end(&s->w, ']');
	json_put_text(&s->w, "licenseConcluded", NONE);
	json_put_text(&s->w, "copyrightText", NONE);
	json_put_end(&s->w, '}');
	sbom_relate(s, "SPDXRef-Files", "CONTAINS", id);
	return 0;
}

static int
sbom_compare_sums(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Adds the files of no package, and the package that stands for them. Its verification code is the
 * SHA-1 of the sorted SHA-1s (SPDX 2.3, 7.9). */
static int
sbom_put_files(struct sbom *s, struct error *err)
{
	const struct image *image = &s->build->image;
	char code[SHA1_DIGEST_SIZE * 2 + 1];
	uint8_t sum[SHA1_DIGEST_SIZE];
	struct json_put packages = s->w;
	struct sha1_ctx hash;
	struct buf files;
	int r = 0;

	s->sums = calloc(image->n + 1, sizeof(*s->sums));
	if (!s->sums)
		return sbom_nomem(err);
	/* Their checksums are needed before the package is written. */
	buf_init(&files, DOCUMENT_MAX);
	s->w = (struct json_put){ .buf = &files };
	json_put_begin(&s->w, NULL, '[');
	for (size_t i = 0; r == 0 && i < image->n; i++) {
		const struct image_entry *entry = image->entries[i];

		if (S_ISREG(entry->mode) && !packages_own(&s->build->packages, entry->path))
			r = sbom_put_file(s, entry, err);
	}
	json_put_end(&s->w, ']');
	if (r == 0 && s->w.has_failed)
		r = sbom_nomem(err);
	s->w = packages;
	if (r == 0 && s->n_files) {
		qsort(s->sums, s->n_files, sizeof(*s->sums), sbom_compare_sums);
		sha1_init(&hash);
		for (size_t i = 0; i < s->n_files; i++)
			sha1_update(&hash, SHA1_DIGEST_SIZE * 2, (const uint8_t *)s->sums[i]);
		sha1_digest(&hash, sizeof(sum), sum);
		hash_put_hex(code, sum, sizeof(sum));
		sbom_put_package(s, &(struct sbom_package){
					    .id = "SPDXRef-Files",
					    .name = "files of no package",
					    .purpose = "FILE",
					    .verification = code,
				    });
		sbom_relate(s, "SPDXRef-Image", "CONTAINS", "SPDXRef-Files");
	}
	json_put_end(&s->w, ']');
	if (r == 0 && s->n_files &&
	    (buf_append(s->w.buf, ",\"files\":", 9) < 0 ||
	     buf_append(s->w.buf, buf_head(&files), buf_len(&files)) < 0))
		r = sbom_nomem(err);
	buf_release(&files);
	return r;
}
