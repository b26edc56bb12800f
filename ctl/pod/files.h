/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a pod on the host: config maps and secrets in the layout of a kubelet, and the root
 * of the pause container. All are in one directory, which is shared with the guest. May block. */
#pragma once

#include "ctl/pod/manifest.h"
#include "lib/error.h"

/* Subdirectory with the root of the pause container, whose program is /pause. */
#define PODFILES_PAUSE "pause"

/* Creates the files in the existing directory `dir`. `binary` is the static program of the pause
 * container. Returns 0, or -1 and err. */
int podfiles_make(const struct manifest *m, const char *dir, const char *binary, struct error *err);
