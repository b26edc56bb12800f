/* SPDX-License-Identifier: Apache-2.0 */
/* Images from the confidential data hub, a service of the guest's image. Worker only: may block. */
#pragma once

#include "agent/roots.h"
#include "agent/storage/image_work.h"
#include "lib/error.h"

/* Opens (O_PATH) the hub's socket. Returns -1 and errno if there is none. */
int image_hub_open(const struct roots *roots);

/* Lets the hub pull the image of the storage. Returns the directory of its root (O_PATH), or -1 and
 * err. */
int image_hub_pull(const struct image_work *k, int socket, struct error *err);
