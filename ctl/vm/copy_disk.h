/* SPDX-License-Identifier: Apache-2.0 */
/* A disk with a copy of a directory, for guests whose agent knows no share of directories. May
 * block. */
#pragma once

#include <signal.h>

#include "ctl/vm/programs.h"
#include "ctl/vm/vm_options.h"
#include "lib/error.h"

/*
 * Makes a disk of the directory share->path, or of its file share->copied_file, with ext4 or, if
 * the machine has no mke2fs, erofs. The file of the disk has no name; share->path becomes one of
 * the returned fd, which the caller keeps open and closes. Owners are those on the host if this
 * process is root's, else root. Fails with CANCELLED if one of the blocked signals `stop` is
 * pending. Returns the fd, or -1 and err.
 */
int copy_disk_make(struct programs *programs, const char *arch, struct vm_share *share,
		   const sigset_t *stop, struct error *err);
