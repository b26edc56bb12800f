/* SPDX-License-Identifier: Apache-2.0 */
/* Making of a Debian root by mmdebstrap(1), as root or as any user. */
#pragma once

#include "rootfs-builder/input/debian_apt.h"

/* Makes a root of a variant from the lists and packages of this apt, and stores it as the tar file
 * `to`. New packages are added to the apt. */
int debian_bootstrap(struct debian_apt *apt, const char *variant, const char *to,
		     struct error *err);
