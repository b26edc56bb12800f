/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchable-bind: a volume of a share, such as a ConfigMap, that the host changes while containers
 * use it. It is a bind mount of the directory in the share, so that containers see each change as
 * soon as the share does. The reference agent instead copies small volumes to a tmpfs every two
 * seconds to support inotify, which does not work on a share.
 *
 * The mount point is in a directory of the share that belongs to the host and may be read-only. A
 * tmpfs is mounted there first, as a storage of its own; all volumes in it hold a reference to it.
 */
#include "agent/storage/watchable.h"

#include <string.h>

#include "lib/cleanup.h"
#include "lib/client_texts.h"

#define PLACE "/run/kata-containers/shared/containers/"

static const char *const directory_options[] = { "nosuid", "nodev", "mode=0755" };

/* The directories of such mount points: in the Go runtime, and in the Rust runtime. */
static const struct storage_spec directories[] = {
	{
		.driver = "watchable-bind directory",
		.source = "tmpfs",
		.fstype = "tmpfs",
		.mount_point = PLACE "watchable",
		.options = directory_options,
		.n_options = ARRAY_LEN(directory_options),
	},
	{
		.driver = "watchable-bind directory",
		.source = "tmpfs",
		.fstype = "tmpfs",
		.mount_point = PLACE "passthrough/watchable",
		.options = directory_options,
		.n_options = ARRAY_LEN(directory_options),
	},
};

const struct storage_spec *
storage_watchable_directory(const struct storage_spec *spec)
{
	const char *slash = strrchr(spec->mount_point, '/');

	if (strcmp(spec->driver, storage_watchable.name) != 0 || !slash || !slash[1])
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		size_t len = strlen(directories[i].mount_point);

		if (len == (size_t)(slash - spec->mount_point) &&
		    strncmp(spec->mount_point, directories[i].mount_point, len) == 0)
			return &directories[i];
	}
	return NULL;
}

static int
watchable_check(const struct storage_spec *spec, struct error *err)
{
	if (!storage_watchable_directory(spec))
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"storage %s: invalid mount point: watchable-bind requires a directory in "
			"%s or %s",
			spec->mount_point, directories[0].mount_point, directories[1].mount_point);
	return storage_bind.check(spec, err);
}

static int
watchable_mount(struct worker *w, const struct storage_mount *m, struct error *err)
{
	return storage_bind.mount(w, m, err);
}

const struct storage_driver storage_watchable = {
	.name = "watchable-bind",
	.check = watchable_check,
	.mount = watchable_mount,
};

/* Accepts the result of storage_watchable_directory() only: a peer cannot request this driver. */
static int
directory_check(const struct storage_spec *spec, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		if (spec == &directories[i])
			return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT, TEXT_NO_STORAGE_HANDLER " %.64s",
			 spec->driver);
}

static int
directory_mount(struct worker *w, const struct storage_mount *m, struct error *err)
{
	const struct storage_source source = { .name = m->spec->source, .type = m->spec->fstype };

	return storage_mount_common(w, m, &source, NULL, err);
}

const struct storage_driver storage_watchable_tmpfs = {
	.name = "watchable-bind directory",
	.check = directory_check,
	.mount = directory_mount,
};
