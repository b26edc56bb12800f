/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting of file systems with options longer than fsconfig(2) accepts, such as an overlay of
 * many layers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Returns whether the source or an option's value is too long for fsconfig(2). Pure. */
bool mount_is_long(const Grpc__Mount *spec);

/* Makes a detached mount like mount_new_fs(), but with mount(2) in the directory `aside`, which
 * must be private to the caller and is left as it was. The options together are limited to one
 * page. Returns the fd of the mount, which the caller owns, or -1 and err. May block. */
int mount_long_fs(const Grpc__Mount *spec, const char *label, uint64_t attrs, const char *aside,
		  struct error *err);
