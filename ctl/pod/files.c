/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A config map in a pod is a directory with ..data, a link to a directory of the files, and one
 * link through ..data per file. Replacing ..data updates all files atomically.
 */
#include "ctl/pod/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/base64.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define GENERATION "..2025_01_01_00_00_00.1"

static int podfiles_make_map(const struct manifest_volume *v, int top, struct error *err);
static int podfiles_make_keys(const struct manifest_volume *v, int dir, int data,
			      struct error *err);
static int podfiles_make_key(int dir, int data, const char *name, const void *bytes, size_t n,
			     mode_t mode, struct error *err);
static int podfiles_make_pause(int top, const char *binary, struct error *err);

int
podfiles_make(const struct manifest *m, const char *dir, const char *binary, struct error *err)
{
	auto_close int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (top < 0)
		return error_sys(err, "failed to open %s", dir);
	for (size_t i = 0; i < m->n_volumes; i++) {
		const struct manifest_volume *v = &m->volumes[i];

		if (v->kind != VOLUME_CONFIG_MAP && v->kind != VOLUME_SECRET)
			continue;
		if (strcmp(v->name, PODFILES_PAUSE) == 0)
			return error_set(err, ERROR_INVALID_ARGUMENT, "invalid volume name \"%s\"",
					 v->name);
		if (podfiles_make_map(v, top, err) < 0)
			return error_wrap(err, "volume %s", v->name);
	}
	return podfiles_make_pause(top, binary, err) < 0
		       ? error_wrap(err, "failed to create the pause container")
		       : 0;
}

static int
podfiles_make_map(const struct manifest_volume *v, int top, struct error *err)
{
	auto_close int dir = -1;
	auto_close int data = -1;

	if (mkdirat(top, v->name, 0755) < 0)
		return error_sys(err, "failed to create its directory");
	dir = openat(top, v->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || mkdirat(dir, GENERATION, 0755) < 0)
		return error_sys(err, "failed to create its directory");
	data = openat(dir, GENERATION, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (data < 0 || symlinkat(GENERATION, dir, "..data") < 0)
		return error_sys(err, "failed to create its directory");
	return podfiles_make_keys(v, dir, data, err);
}

static int
podfiles_make_keys(const struct manifest_volume *v, int dir, int data, struct error *err)
{
	mode_t mode = v->kind == VOLUME_SECRET ? 0600 : 0644;
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)v->text, name, value)
	{
		if (!json_is_string(value))
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s: not a string", name);
		if (podfiles_make_key(dir, data, name, json_string_value(value),
				      json_string_length(value), mode, err) < 0)
			return -1;
	}
	json_object_foreach((json_t *)(uintptr_t)v->bytes, name, value)
	{
		size_t n = 0;
		auto_free uint8_t *bytes = json_is_string(value)
						   ? base64_decode(json_string_value(value),
								   json_string_length(value), &n)
						   : NULL;

		if (!bytes)
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s: invalid base64", name);
		if (podfiles_make_key(dir, data, name, bytes, n, mode, err) < 0)
			return -1;
	}
	return 0;
}

/* Creates one key of a config map: the file in the generation directory and the link to it. */
static int
podfiles_make_key(int dir, int data, const char *name, const void *bytes, size_t n, mode_t mode,
		  struct error *err)
{
	auto_close int fd = -1;
	char target[300];

	if (!name[0] || name[0] == '.' || strchr(name, '/'))
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid file name \"%s\"", name);
	(void)snprintf(target, sizeof(target), "..data/%.250s", name);
	fd = openat(data, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || fchmod(fd, mode) < 0 || write_full(fd, bytes, n) < 0)
		return error_sys(err, "failed to create file %s", name);
	if (symlinkat(target, dir, name) < 0)
		return error_sys(err, "failed to create link %s", name);
	return 0;
}

static int
podfiles_make_pause(int top, const char *binary, struct error *err)
{
	static const char *const dirs[] = { PODFILES_PAUSE, PODFILES_PAUSE "/proc",
					    PODFILES_PAUSE "/dev", PODFILES_PAUSE "/sys",
					    PODFILES_PAUSE "/sys/fs" };
	auto_close int from = open(binary, O_RDONLY | O_CLOEXEC);
	auto_close int to = -1;
	ssize_t n;

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (mkdirat(top, dirs[i], 0755) < 0)
			return error_sys(err, "failed to create directory %s", dirs[i]);
	to = openat(top, PODFILES_PAUSE "/pause", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (from < 0 || to < 0)
		return error_sys(err, "failed to copy %s", binary);
	do
		n = sendfile(to, from, NULL, 1u << 20);
	while (n > 0);
	return n < 0 ? error_sys(err, "failed to copy %s", binary) : 0;
}
