/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of existing mounts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

/* Sets and clears MOUNT_ATTR_* of a mount and sets its propagation; with `below`, those of all
 * mounts below it, too. Returns 0, or -1 and err. */
int mount_set(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool below,
	      struct error *err);
