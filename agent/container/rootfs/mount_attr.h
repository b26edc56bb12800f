/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of mounts that exist. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

/* Sets attributes of a mount (with everything below it if `below`). */
int mount_set(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool below,
	      struct error *err);
