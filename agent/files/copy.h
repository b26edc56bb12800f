/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CopyFile: writes files, directories and links from the host below the shared directory, and
 * nowhere else. Loop side: never blocks, and never touches the directory itself, which may be a
 * share. Workers do that (copy_worker.c).
 *
 * Guarantees, whatever the host sends and whatever a container that can write to the directory does
 * at the same time: no symlink is followed in any component; the old file stays in place until the
 * new one is complete and replaces it atomically; a copy that fails leaves nothing behind.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/loop.h"
#include "lib/pending.h"

struct jobs;
struct copies;

/* The shared directory. Every path must begin with it. */
#define COPY_DIR RUN_DIR "/shared/containers/"

/* One call's part of a copy. path must stay valid until done is called, data until then or
 * pending_cancel(). */
struct copy_part {
	const char *path;
	/* as st_mode: S_IFDIR, S_IFREG or S_IFLNK, and permissions (07777) */
	uint32_t file_mode;
	/* permissions of missing parents (0777); 0: 0750 */
	uint32_t dir_mode;
	/* owner of the target and of missing parents; -1: the agent's */
	int32_t uid, gid;
	/* size of the whole regular file */
	int64_t file_size;
	/* of data in the file */
	int64_t offset;
	/* a link's target, or a part of a regular file */
	const uint8_t *data;
	size_t len;
};

typedef void copy_done_fn(const struct error *err, void *data);

/* Makes the table of copies. Only roots->run and roots->proc are used. All arguments must outlive
 * the table. Returns NULL and sets err if memory runs out. */
struct copies *copies_new(struct loop *loop, struct jobs *jobs, const struct roots *roots,
			  struct error *err);

/* Drops pending callbacks without calling them, and frees the table. Must be called after
 * jobs_free(). NULL is allowed. */
void copies_free(struct copies *c);

/*
 * Queues one part. A regular file begins with its part at offset 0 (a second one starts over); the
 * others may follow in any order and overlap. The file is complete once every byte of file_size has
 * been written. done is called once, never before this returns: OK means that the part is written
 * and, if it was the last one missing, that the file is in place. Parts of one path are written in
 * the order in which they were submitted, different paths in parallel. Returns NULL and sets err to
 * INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
 */
struct pending *copies_submit(struct copies *c, const struct copy_part *part, copy_done_fn *done,
			      void *data, struct error *err);

/* Returns the number of regular files that were begun and are not complete. */
unsigned int copies_unfinished(const struct copies *c);
