/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/filesystem/filesystem.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/image/content.h"

const struct filesystem_kind *const filesystem_kinds[] = {
	&filesystem_ext4, &filesystem_erofs, &filesystem_squashfs, &filesystem_xfs, NULL,
};

const struct filesystem_kind *
filesystem_find(const char *name)
{
	for (size_t i = 0; filesystem_kinds[i]; i++) {
		if (strcmp(filesystem_kinds[i]->name, name) == 0)
			return filesystem_kinds[i];
	}
	return NULL;
}

enum pack_format
filesystem_pack(const struct build *build)
{
	const struct filesystem_kind *kind = filesystem_find(build->spec->filesystem);

	return build->spec->has_compress ? build->spec->compress : kind->default_pack;
}

int
filesystem_check_sources(const struct build *build, struct error *err)
{
	for (size_t i = 0; i < build->image.n; i++) {
		const struct image_entry *entry = build->image.entries[i];
		auto_close int fd = entry->source ? image_open_source(entry, err) : -1;

		if (entry->source && fd < 0)
			return -1;
	}
	return 0;
}

static int
filesystem_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	const int *fd = data;

	return write_full(*fd, bytes, n) < 0 ? error_sys(err, "failed to write a file") : 0;
}

char *
filesystem_content_file(const struct build *build, const struct image_entry *entry, size_t number,
			struct error *err)
{
	auto_close int fd = -1;
	auto_free char *path = NULL;
	char name[32];

	(void)snprintf(name, sizeof(name), "content.%zu", number);
	path = work_path(build->work, name, err);
	if (!path)
		return NULL;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		error_sys(err, "failed to create %s", path);
		return NULL;
	}
	if (content_read(entry, filesystem_take, &fd, err) < 0)
		return NULL;
	return steal_ptr(&path);
}

int
filesystem_resize(const struct build *build, const char *path, struct error *err)
{
	uint64_t size = build->spec->size;
	struct stat st;

	if (!size)
		return 0;
	if (stat(path, &st) < 0)
		return error_sys(err, "failed to stat the file system");
	if ((uint64_t)st.st_size > size)
		return error_set(
			err, ERROR_RESOURCE_EXHAUSTED,
			"the %s file system needs %llu bytes, more than the %llu of --size",
			build->spec->filesystem, (unsigned long long)st.st_size,
			(unsigned long long)size);
	return truncate(path, (off_t)size) < 0 ? error_sys(err, "failed to extend the file system")
					       : 0;
}
