/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a pod on the host: volumes of files in the layout of a kubelet, hosts and hostname, and
 * the root of the pause container. All are in one directory, which is shared with the guest. May
 * block. */
#pragma once

#include "ctl/pod/manifest.h"
#include "lib/error.h"

/* Subdirectory with the root of the pause container, whose programs are /pause and /probe. */
#define PODFILES_PAUSE "pause"
/* Prefix of the directory of a volume. */
#define PODFILES_VOLUME "volume-"
/* Directory of a volume that has the files: the target of its link "..data". */
#define PODFILES_GENERATION "..2025_01_01_00_00_00.1"

/* Creates the files in the existing directory `dir`. `binary` is the static program of the pause
 * container, `ip` the pod's address. Returns 0, or -1 and err. */
int podfiles_make(const struct manifest *m, const char *ip, const char *dir, const char *binary,
		  struct error *err);

/* Creates the files of a further pod, which has the same pause container, and the directory `dir`
 * for them in that of podfiles_make(). Returns 0, or -1 and err. */
int podfiles_make_further(const struct manifest *m, const char *ip, const char *dir,
			  struct error *err);
