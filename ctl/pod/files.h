/* SPDX-License-Identifier: Apache-2.0 */
/* What of a pod is made of files on the host: config maps and secrets as a kubelet lays them out, and the pause container's
 * root. One directory, shared with the guest. May block. */
#pragma once

#include "ctl/pod/manifest.h"
#include "lib/error.h"

#define PODFILES_PAUSE \
	"pause" /* directory in it: the root of the pause container, whose program is /pause */

/* Makes all of it in `dir`, which exists. `binary`: the static program that is the pause container's. 0, or -1 and err. */
int podfiles_make(const struct manifest *m, const char *dir, const char *binary, struct error *err);
