/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   inputs -> programs and modules -> additions -> sort -> digest -> output -> verify -> rename
 *
 * Everything before the rename happens in memory and in the work directory.
 */
#include "rootfs-builder/build.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/path.h"
#include "rootfs-builder/guest/closure.h"
#include "rootfs-builder/guest/layout.h"
#include "rootfs-builder/guest/prune.h"
#include "rootfs-builder/guest/units.h"
#include "rootfs-builder/image/content.h"
#include "rootfs-builder/work/hash.h"

/* Longest file that a description contains. */
#define DESCRIBED_MAX ((uint64_t)1 << 20)

static int build_check_output(const struct build_spec *spec, struct error *err);
static int build_fill(struct build *build, struct error *err);
static int build_set_digest(struct build *build, struct error *err);
static int build_write(struct build *build, struct error *err);
static int build_write_sbom(struct build *build, const char *result, char **sbom,
			    struct error *err);
static int build_write_note(struct build *build, char **note, struct error *err);
static int build_write_description(struct build *build, char **description, struct error *err);
static int build_commit_beside(const struct build *build, const char *from, const char *suffix,
			       struct error *err);
static int build_commit(const struct build_spec *spec, const char *from, struct error *err);
static int build_tree_size(int dirfd, const char *name, const struct stat *st, void *data,
			   struct error *err);

int
build_run(const struct build_spec *spec, struct report *report, struct error *err)
{
	struct build build = { .spec = spec, .image = IMAGE_INIT, .report = report };
	int r;

	if (build_check_output(spec, err) < 0 ||
	    (spec->format->check && spec->format->check(spec, err) < 0))
		return -1;
	build.work = work_open(spec->output, err);
	if (!build.work)
		return error_wrap(err, "failed to make %s", spec->output);
	r = build_fill(&build, err);
	if (r == 0)
		r = build_write(&build, err);
	/* A tool that was interrupted has failed in one way or another. */
	if (r < 0)
		(void)work_check(err);
	packages_release(&build.packages);
	image_release(&build.image);
	free(build.note);
	json_decref(build.config);
	work_close(build.work);
	return r < 0 ? error_wrap(err, "failed to make %s", spec->output) : 0;
}

static int
build_check_output(const struct build_spec *spec, struct error *err)
{
	struct stat st;

	if (lstat(spec->output, &st) < 0)
		return 0;
	if (spec->format->is_directory)
		return error_set(err, ERROR_ALREADY_EXISTS, "failed to make %s: it exists",
				 spec->output);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return error_set(err, ERROR_ALREADY_EXISTS,
				 "failed to make %s: it exists and is not a file", spec->output);
	return 0;
}

static void
build_note(const char *text, void *data)
{
	report_warn(data, "%s", text);
}

static int
build_fill(struct build *build, struct error *err)
{
	const struct build_spec *spec = build->spec;
	const struct layout layout = {
		.init = spec->init,
		.agent = spec->agent,
		.keep_init = spec->keep_init,
		.machine = spec->machine,
		.modules_dir = spec->modules_dir,
		.modules = spec->modules,
		.no_default_modules = spec->no_default_modules,
		.modules_as_is = spec->modules_as_is,
		.note = build_note,
		.note_data = build->report,
	};
	size_t modules;

	for (size_t i = 0; i < spec->n_inputs; i++) {
		const struct build_input *input = &spec->inputs[i];

		if (input->kind->has_no_source)
			report_step(build->report, "reading input %s", input->kind->name);
		else
			report_step(build->report, "reading %s %s", input->kind->name,
				    input->source);
		build->image.layer++;
		if (work_check(err) < 0 || input->kind->read(build, input->source, err) < 0)
			return -1;
	}
	image_sort(&build->image);
	if (packages_read(&build->packages, &build->image, err) < 0)
		return -1;
	build->image.layer++;
	if (build->prune)
		(void)prune_image(&build->image, prune_rules);
	if (!spec->rootfs_only) {
		report_step(build->report, "adding programs");
		if (layout_add(&layout, &build->image, &modules, err) < 0 ||
		    (spec->keep_init && units_add(&build->image, err) < 0))
			return -1;
	}
	for (size_t i = 0; i < spec->n_additions; i++) {
		const struct addition *addition = &spec->additions[i];

		if (work_check(err) < 0 || addition->kind->apply(build, addition->value, err) < 0)
			return error_wrap(err, "--%s %s", addition->kind->option, addition->value);
	}
	if (!spec->rootfs_only && build->packages.n && osbuilder_yaml_add(build, err) < 0)
		return -1;
	image_sort(&build->image);
	/* A root for containers need not boot. */
	if (spec->rootfs_only)
		return 0;
	report_step(build->report, "checking programs");
	return closure_verify(&build->image, spec->machine, !spec->keep_init, err);
}

static int
build_hash_content(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	sha256_update(data, n, bytes);
	return work_check(err);
}

/* Hashes each entry as "PATH\0MODE UID GID MAJOR MINOR SIZE\0", the first name of a hard link, its
 * attributes and its content. */
static int
build_set_digest(struct build *build, struct error *err)
{
	auto_free struct image_links *links = image_links(&build->image, err);
	struct sha256_ctx hash;
	char text[128];

	if (!links)
		return -1;
	sha256_init(&hash);
	hash_text(&hash, "tatami-rootfs image 1");
	(void)snprintf(text, sizeof(text), "%u", build->spec->epoch);
	hash_text(&hash, text);
	for (size_t i = 0; i < build->image.n; i++) {
		const struct image_entry *entry = build->image.entries[i];
		const struct image_links *group = &links[entry->link_group];

		hash_text(&hash, entry->path);
		(void)snprintf(text, sizeof(text), "%o %u %u %u %u %llu", entry->mode, entry->uid,
			       entry->gid, entry->dev_major, entry->dev_minor,
			       (unsigned long long)entry->size);
		hash_text(&hash, text);
		if (group->n && group->first != i)
			hash_text(&hash, build->image.entries[group->first]->path);
		for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
			(void)snprintf(text, sizeof(text), "%zu", x->n);
			hash_text(&hash, x->name);
			hash_text(&hash, text);
			sha256_update(&hash, x->n, x->value);
		}
		if (content_read(entry, build_hash_content, &hash, err) < 0)
			return -1;
		report_progress(build->report, i, build->image.n);
	}
	hash_hex(&hash, SHA256_DIGEST_SIZE, build->digest);
	return 0;
}

void
build_seed(const struct build *build, const char *purpose, uint8_t *out, size_t n)
{
	uint8_t sum[SHA256_DIGEST_SIZE];

	for (unsigned block = 0; n; block++) {
		size_t part = n < sizeof(sum) ? n : sizeof(sum);
		struct sha256_ctx hash;
		char number[16];

		(void)snprintf(number, sizeof(number), "%u", block);
		sha256_init(&hash);
		hash_text(&hash, "tatami-rootfs seed 1");
		hash_text(&hash, purpose);
		hash_text(&hash, number);
		hash_text(&hash, build->digest);
		sha256_digest(&hash, sizeof(sum), sum);
		memcpy(out, sum, part);
		out += part;
		n -= part;
	}
}

void
build_uuid(const struct build *build, const char *purpose, char out[37])
{
	uint8_t b[16];

	build_seed(build, purpose, b, sizeof(b));
	/* Version 4, and the variant of RFC 4122. */
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, 37,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
		       b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		       b[13], b[14], b[15]);
}

/* The sum of the sizes of the files in a result. */
struct tree_size {
	uint64_t bytes;
};

static int
build_tree_size(int dirfd, const char *name, const struct stat *st, void *data, struct error *err)
{
	struct tree_size *sum = data;

	(void)dirfd;
	(void)name;
	(void)err;
	if (S_ISREG(st->st_mode))
		sum->bytes += (uint64_t)st->st_size;
	return 0;
}

static int
build_write(struct build *build, struct error *err)
{
	const struct build_spec *spec = build->spec;
	auto_free char *to = work_path(build->work, "result", err), *sbom = NULL, *note = NULL;
	auto_free char *description = NULL;
	struct tree_size sum = { 0 };
	struct stat st;

	if (!to)
		return -1;
	report_step(build->report, "reading %zu entries", build->image.n);
	if (build_set_digest(build, err) < 0)
		return -1;
	report_step(build->report, "writing %s", spec->format->name);
	if (spec->format->write(build, to, err) < 0)
		return -1;
	if (lstat(to, &st) < 0)
		return error_sys(err, "failed to stat the result");
	sum.bytes = (uint64_t)st.st_size;
	if (spec->format->is_directory) {
		auto_close int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		sum.bytes = 0;
		if (fd < 0)
			return error_sys(err, "failed to open the result");
		if (path_walk(fd, build_tree_size, &sum, err) < 0)
			return -1;
	}
	if (spec->max_size && sum.bytes > spec->max_size)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "%llu bytes exceed the limit of %llu",
				 (unsigned long long)sum.bytes, (unsigned long long)spec->max_size);
	if (build_write_sbom(build, to, &sbom, err) < 0 ||
	    build_write_note(build, &note, err) < 0 ||
	    build_write_description(build, &description, err) < 0)
		return -1;
	if (work_check(err) < 0 || build_commit(spec, to, err) < 0)
		return -1;
	report_file(build->report, spec->output, sum.bytes);
	if ((sbom && build_commit_beside(build, sbom, ".spdx.json", err) < 0) ||
	    (description && build_commit_beside(build, description, ".image.json", err) < 0) ||
	    (note && build_commit_beside(build, note, build->note_suffix, err) < 0))
		return -1;
	report_fact(build->report, "format", spec->format->name);
	report_fact(build->report, "digest", build->digest);
	return 0;
}

/* Stores the path of the bill of materials in the work directory, NULL if none is wanted. */
static int
build_write_sbom(struct build *build, const char *result, char **sbom, struct error *err)
{
	if (build->spec->no_sbom)
		return 0;
	report_step(build->report, "writing the bill of materials");
	*sbom = work_path(build->work, "sbom", err);
	return *sbom ? sbom_write(build, result, *sbom, err) : -1;
}

/* Stores the path of the note in the work directory, NULL if the output has none. */
static int
build_write_note(struct build *build, char **note, struct error *err)
{
	FILE *file;

	if (!build->note)
		return 0;
	*note = work_path(build->work, "note", err);
	if (!*note)
		return -1;
	file = fopen(*note, "we");
	if (!file)
		return error_sys(err, "failed to create %s", *note);
	(void)fputs(build->note, file);
	return fclose(file) == 0 ? 0 : error_sys(err, "failed to write %s", *note);
}

/* The content of a file of the image. */
struct build_text {
	char *bytes;
	size_t n;
};

static int
build_take_text(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct build_text *text = data;

	(void)err;
	memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
	return 0;
}

/* Returns the content of a file of the image as JSON: null if there is none, or if it is not
 * text. */
static json_t *
build_read_text(struct build *build, const char *path)
{
	struct error ignored = ERROR_INIT;
	const struct image_entry *entry = image_resolve(&build->image, path, &ignored);
	struct build_text text = { NULL, 0 };
	json_t *json = NULL;

	if (entry && S_ISREG(entry->mode) && entry->size <= DESCRIBED_MAX) {
		text.bytes = malloc(entry->size + 1);
		if (text.bytes && content_read(entry, build_take_text, &text, &ignored) == 0)
			json = json_stringn(text.bytes, text.n);
		free(text.bytes);
	}
	return json ? json : json_null();
}

/* Stores the path of the description in the work directory, NULL if none is wanted: an object with
 * the digest and the content of the image's configuration, and the files by which names of users
 * are found. */
static int
build_write_description(struct build *build, char **description, struct error *err)
{
	json_t *json;
	int r;

	if (!build->spec->describe)
		return 0;
	*description = work_path(build->work, "description", err);
	if (!*description)
		return -1;
	json = json_pack("{s:s?, s:O?, s:o, s:o}", "digest",
			 build->config ? build->config_digest : NULL, "config", build->config,
			 "passwd", build_read_text(build, "etc/passwd"), "group",
			 build_read_text(build, "etc/group"));
	if (!json)
		return error_nomem(err, "describing the image");
	r = json_dump_file(json, *description, JSON_INDENT(2));
	json_decref(json);
	return r < 0 ? error_set(err, ERROR_INTERNAL, "failed to write %s", *description) : 0;
}

/* Renames a file to the name of the output with a suffix. */
static int
build_commit_beside(const struct build *build, const char *from, const char *suffix,
		    struct error *err)
{
	auto_free char *to = NULL;
	struct stat st;

	if (asprintf(&to, "%s%s", build->spec->output, suffix) < 0) {
		to = NULL;
		return error_nomem(err, "writing a file next to the output");
	}
	if (stat(from, &st) < 0 || rename(from, to) < 0)
		return error_sys(err, "failed to rename a finished file to %s", to);
	report_file(build->report, to, (uint64_t)st.st_size);
	return 0;
}

/* Flushes the result and renames it. */
static int
build_commit(const struct build_spec *spec, const char *from, struct error *err)
{
	auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_sys(err, "failed to open the result");
	if (!spec->format->is_directory && fchmod(fd, 0644) < 0)
		return error_sys(err, "failed to chmod the result");
	if ((spec->format->is_directory ? syncfs(fd) : fsync(fd)) < 0)
		return error_sys(err, "failed to flush the result");
	if (rename(from, spec->output) < 0)
		return error_sys(err, "failed to rename the result to %s", spec->output);
	return 0;
}
