/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's uevents. */
#pragma once

#include "lib/error.h"

/* Opens a non-blocking socket that receives uevents from now on. Returns it, or -1 and err. */
int uevent_open(struct error *err);
