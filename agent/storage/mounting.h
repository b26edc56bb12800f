/* SPDX-License-Identifier: Apache-2.0 */
/* The transitions of a storage. Loop side: never blocks. */
#pragma once

#include <stdbool.h>

#include "lib/error.h"

struct release;
struct storage;

/* Starts to find the device of a new storage and to mount it. Returns 0, or -1 and err if nothing
 * was started. */
int storage_begin(struct storage *s, struct error *err);

/* Handles the loss of the last reference: cancels, unmounts or keeps s. `everything`: the sandbox
 * ends. */
void storage_unreferenced(struct storage *s, bool everything, struct release *release);
