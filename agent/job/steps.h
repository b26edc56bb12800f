/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that several modules take: a directory, a file, a mount, a process. Worker only: may
 * block. */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "agent/job/worker.h"
#include "lib/error.h"

/* Detaches the mount `id` (0: any mount) from the mount point `fd` (O_PATH). */
extern const struct undo_kind undo_umount;
/* Removes the directory or file `name` in the directory `fd` if it is the one that was created; a
 * directory only if it is empty. */
extern const struct undo_kind undo_rmdir, undo_unlink;
/* Sends SIGKILL to the process of the pidfd `fd` and waits for its end. `id` is its pid. */
extern const struct undo_kind undo_kill;

/* Creates the directory `name` in dirfd unless it exists; announced first. Returns 1 if created, 0
 * if it existed, -1 and err. Sets *made if it was created (may be NULL). */
int worker_mkdir(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
		 struct error *err);

/* Announces the creation of the directory `name` in dirfd, without waiting. Returns the number of
 * the step, or -1 and err. */
int worker_announce_mkdir(struct worker *w, int dirfd, const char *name, struct error *err);

/* Does what worker_mkdir() does, for an announced step. */
int worker_mkdir_announced(struct worker *w, int step, int dirfd, const char *name, mode_t mode,
			   struct error *err);

/* Creates the file `name` in dirfd, which must not exist; announced first. Returns its fd, open for
 * writing. EEXIST is reported as ERROR_ALREADY_EXISTS. */
int worker_create(struct worker *w, int dirfd, const char *name, mode_t mode, struct stat *made,
		  struct error *err);

/* Attaches the detached mount `tree` at the mount point `point` (O_PATH); announced first. `name`
 * is for messages. Sets *id (may be NULL) to the mount's id. */
int worker_mount(struct worker *w, int tree, int point, const char *name, int32_t *id,
		 struct error *err);
