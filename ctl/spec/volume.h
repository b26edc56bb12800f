/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes and devices of a container: their descriptions on the command line. Looks up the named
 * files, which may block. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "ctl/vm/vm_options.h"
#include "lib/error.h"

enum volume_kind {
	/* a directory or file of the host, on a share */
	VOLUME_ON_SHARE,
	/* a directory of the host whose changes the container sees with events (watchable-bind) */
	VOLUME_WATCHED,
	/* an image of a file system, on a disk */
	VOLUME_ON_DISK,
	VOLUME_TMPFS,
	VOLUME_HUGE_PAGES,
	/* an image as a block device in the container's /dev, not mounted */
	VOLUME_DEVICE,
};

struct volume {
	enum volume_kind kind;
	/* path on the host, "" if there is none */
	char source[PATH_MAX];
	/* path in the container */
	char target[PATH_MAX];
	bool readonly, is_file;
	/* bus of a disk */
	enum share_kind bus;
	/* file system of a disk */
	char fstype[16];
	/* options of the file system, separated by commas, or "" */
	char options[96];
	/* index of the share or disk among those of the VM, -1: none */
	int share;
};

/* Parses the value of --volume, "SRC:DST[:ro]" or "type=TYPE,KEY=VALUE...", and looks the source
 * up. Returns 0, or -1 and err (INVALID_ARGUMENT). */
int volume_parse(struct volume *v, const char *text, struct error *err);

/* Parses the value of --device, "IMAGE:PATH[:ro]" or "type=TYPE,KEY=VALUE...". */
int device_parse(struct volume *v, const char *text, struct error *err);

/* Makes a volume of a directory or file of the host. Returns 0, or -1 and err
 * (INVALID_ARGUMENT). */
int volume_bind(struct volume *v, const char *source, const char *target, bool readonly,
		struct error *err);

/* Checks volumes against each other: no two may have the same target, and an image that is written
 * may be used only once (also as `root`, or NULL). Returns 0, or -1 and err. */
int volumes_check(const struct volume *list, size_t n, const char *root, struct error *err);

/* Returns whether this kind has a share or a disk. */
bool volume_has_share(const struct volume *v);

/* Sets *out to the bus of this name: blk, scsi, nvdimm or pmem. Returns whether it is one. */
bool volume_bus(const char *name, enum share_kind *out);

/* Looks up an image that is to be a disk: a regular file or block device that can be read and,
 * unless `readonly`, written; a memory device needs a whole number of 2 MiB. Writes its absolute
 * path to out (PATH_MAX). Returns 0, or -1 and err (INVALID_ARGUMENT). */
int volume_find_image(const char *path, enum share_kind bus, bool readonly, char *out,
		      struct error *err);
