/* SPDX-License-Identifier: Apache-2.0 */
#include "build_fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "rootfs-builder/image/content.h"

static struct build_spec spec;
static struct build build;
static char *text;

struct build *
build_begin(const char *dir)
{
	struct error err;

	spec = (struct build_spec){ .arch = "x86_64", .machine = EM_X86_64, .epoch = 1735689600 };
	build = (struct build){ .spec = &spec };
	build.work = work_open(path_in(dir, "output"), &err);
	REQUIRE(build.work, "%s", err.msg);
	build.report = report_new(REPORT_QUIET, "test");
	REQUIRE(build.report);
	return &build;
}

void
build_end(void)
{
	image_release(&build.image);
	json_decref(build.config);
	report_free(build.report);
	work_close(build.work);
	build = (struct build){ .spec = NULL };
	free(steal_ptr(&text));
}

void
put_tar(const char *path, const struct member *members, const char *filter)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	REQUIRE(archive && entry);
	REQUIRE_EQ(archive_write_set_format_pax_restricted(archive), ARCHIVE_OK);
	if (filter)
		REQUIRE_EQ(archive_write_add_filter_by_name(archive, filter), ARCHIVE_OK);
	REQUIRE_EQ(archive_write_open_filename(archive, path), ARCHIVE_OK);
	for (const struct member *m = members; m->path; m++) {
		size_t n = m->text ? strlen(m->text) : 0;

		archive_entry_clear(entry);
		archive_entry_set_pathname(entry, m->path);
		archive_entry_set_mode(entry, m->mode);
		archive_entry_set_uid(entry, m->uid);
		archive_entry_set_gid(entry, m->gid);
		archive_entry_set_size(entry, 0);
		if (m->link)
			archive_entry_set_hardlink(entry, m->link);
		else if (S_ISLNK(m->mode))
			archive_entry_set_symlink(entry, m->text);
		else
			archive_entry_set_size(entry, (la_int64_t)n);
		archive_entry_set_rdevmajor(entry, S_ISCHR(m->mode) ? 5 : 0);
		archive_entry_set_rdevminor(entry, S_ISCHR(m->mode) ? 1 : 0);
		if (m->xattr)
			archive_entry_xattr_add_entry(entry, m->xattr, m->value, strlen(m->value));
		REQUIRE_EQ(archive_write_header(archive, entry), ARCHIVE_OK, "%s",
			   archive_error_string(archive));
		if (S_ISREG(m->mode) && !m->link && n)
			REQUIRE_EQ(archive_write_data(archive, m->text, n), (la_ssize_t)n);
	}
	archive_entry_free(entry);
	REQUIRE_EQ(archive_write_close(archive), ARCHIVE_OK);
	REQUIRE_EQ(archive_write_free(archive), ARCHIVE_OK);
}

static int
describe_content(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	(void)err;
	(void)fprintf(data, "%.*s", (int)n, (const char *)bytes);
	return 0;
}

char *
describe(struct image *image)
{
	size_t n;
	FILE *out;

	free(text);
	out = open_memstream(&text, &n);
	REQUIRE(out);
	image_sort(image);
	for (size_t i = 0; i < image->n; i++) {
		const struct image_entry *e = image->entries[i];
		struct error err;

		(void)fprintf(out, "%06o %u:%u %s", e->mode, e->uid, e->gid, e->path);
		if (S_ISLNK(e->mode))
			(void)fprintf(out, " -> %s", (char *)e->data);
		if (S_ISCHR(e->mode))
			(void)fprintf(out, " %u,%u", e->dev_major, e->dev_minor);
		if (S_ISREG(e->mode) && e->size > 100)
			(void)fprintf(out, " = %llu bytes", (unsigned long long)e->size);
		if (S_ISREG(e->mode) && e->size && e->size <= 100) {
			(void)fprintf(out, " = ");
			REQUIRE_OK(content_read(e, describe_content, out, &err), &err);
		}
		if (e->link_group)
			(void)fprintf(out, " [%u]", e->link_group);
		for (const struct image_xattr *x = e->xattrs; x; x = x->next)
			(void)fprintf(out, " {%s=%.*s}", x->name, (int)x->n, (char *)x->value);
		(void)fprintf(out, "\n");
	}
	REQUIRE_EQ(fclose(out), 0);
	return text;
}
