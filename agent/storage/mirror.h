/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a directory on a share that follows its source: watchable-bind. Containers see the
 * copy, which is on a tmpfs, so that inotify works. Worker only: may block for as long as the share
 * does.
 *
 * The directory `place` of a copy has two entries: MIRROR_DATA, which containers see, and
 * MIRROR_STAGING, in which each new entry is completed before a rename puts it in place.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/error.h"

#define MIRROR_DATA    "data"
#define MIRROR_STAGING "new"

struct mirror {
	/* O_PATH, on the share */
	int source;
	/* directories of the copy */
	int data, staging;
	/* The source's mount is read-only, so that calls which would create something in it only
	 * look it up. */
	bool is_readonly;
	/* The source has the form that a kubelet gives to ConfigMaps and Secrets. */
	bool has_versions;
	/* The source's root before the last copy; all zero: unknown. */
	struct stat root;
	/* A copy that takes longer fails; 0: none does. */
	uint64_t deadline;
	/* Files whose modification time is in this range are compared byte by byte in the next
	 * copy: they may have changed again within the resolution of the time. */
	struct timespec verify_from, verify_to;
	/* During a copy: entries changed in the copy, files copied; entries of the source that
	 * changed meanwhile or have no copy (device nodes, sockets, FIFOs, other mounts). */
	unsigned int changed, copied, raced, skipped;
	/* The size of the copy after the last one: bytes in whole pages, and entries. */
	uint64_t bytes, entries;
	/* During a copy. */
	struct timespec now_from, now_to;
	unsigned int serial;
	/* The link to the version that is compared with its copy, or NULL. */
	const struct mirror_link *version;
};

#define MIRROR_NONE ((struct mirror){ .source = -1, .data = -1, .staging = -1 })

/* Opens the copy in `place`, creating its two directories if `create`. Takes ownership of `source`
 * in every case. */
int mirror_open(struct mirror *m, int source, int place, bool create, struct error *err);
void mirror_close(struct mirror *m);

/* Replaces the source, which may have been made anew. Takes ownership of `source`. */
void mirror_set_source(struct mirror *m, int source);

/* Makes the copy equal to its source. Returns 1 if that changed something, 0 if not, or -1 and err:
 * ERROR_ABORTED if a version was replaced while it was being copied, ERROR_RESOURCE_EXHAUSTED if
 * the tmpfs is full, ERROR_DEADLINE_EXCEEDED. A version of a ConfigMap is then as it was before. */
int mirror_sync(struct mirror *m, struct error *err);

/* Returns 1 if the source's root changed since the last mirror_sync() began, 0 if not, or -1 and
 * errno if it is not there. One system call. */
int mirror_has_changed(const struct mirror *m);

/* Returns 0 if the copy's file system has room for an update of the whole copy, else -1 and err. */
int mirror_check_room(const struct mirror *m, struct error *err);

/* Removes the copy in `place`, even if another process is writing to it. */
int mirror_remove(int place, struct error *err);
