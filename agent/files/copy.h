/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CopyFile: files, directories and links that the host sends, put below the shared directory and nowhere else. Called by
 * agent/rpc; knows no call. Loop side: never blocks, and never touches the directory itself, which may be a share.
 *
 * What it guarantees, whatever the host sends and whatever a container that can write there does meanwhile: no
 * symlink is followed, in no component; what was at the path stays as it was until the whole of the new is there, which
 * then takes its place at once; a copy that fails leaves nothing of itself.
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

/* Where everything goes; a path must begin with it. */
#define COPY_DIR RUN_DIR "/shared/containers/"

/* One call's part. path: of the request, until done; data: until done or pending_cancel(). */
struct copy_part {
	const char *path;
	uint32_t file_mode;  /* st_mode: S_IFDIR, S_IFREG or S_IFLNK, and permissions (07777) */
	uint32_t dir_mode;   /* of parents that are missing; 9 bits, 0: 0750 */
	int32_t uid, gid;    /* -1: the agent's; also of parents that are made */
	int64_t file_size;   /* of the whole regular file */
	int64_t offset;      /* of data in it */
	const uint8_t *data; /* a link's target, a part of a regular file */
	size_t len;
};

typedef void copy_done_fn(const struct error *err, void *data);

/* Only roots->run and roots->proc are used. Everything outlives the copies. */
struct copies *copies_new(struct loop *loop, struct jobs *jobs, const struct roots *roots,
			  struct error *err);

/* Calls nobody any more; the jobs must be gone (jobs_free()). NULL is allowed. */
void copies_free(struct copies *c);

/*
 * A regular file begins with its part at offset 0 (again: anew); the others may follow in any order, also overlapping. It
 * is complete once every byte of file_size has been written. done is called once, never from inside: OK means that
 * the part is written and, if it was the last, that the file is in place. What is sent for one path is done in that order;
 * different paths side by side. NULL and err: INVALID_ARGUMENT, or RESOURCE_EXHAUSTED.
 */
struct pending *copies_submit(struct copies *c, const struct copy_part *part, copy_done_fn *done,
			      void *data, struct error *err);

/* Regular files that have begun and are not complete. */
unsigned int copies_unfinished(const struct copies *c);
