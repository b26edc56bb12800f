/* SPDX-License-Identifier: Apache-2.0 */
/* Images pulled and unpacked by programs of the guest's image, skopeo and umoci. Worker only: may
 * block. */
#pragma once

#include "agent/storage/image_request.h"
#include "agent/storage/image_work.h"
#include "lib/error.h"

/* Pulls and unpacks an image with a valid name. Returns the directory of its root (O_PATH), or -1
 * and err: FAILED_PRECONDITION without the programs. */
int image_tools_pull(const struct image_work *k, const struct image_source *source,
		     struct error *err);
