/* SPDX-License-Identifier: Apache-2.0 */
/* Searches for several devices at once. A search ends when all are found, or with the first
 * failure. Loop side: never blocks. */
#pragma once

#include <stddef.h>

#include "agent/device/device.h"

struct device_search;

/* Receives ERROR_OK, or the reason why one of the devices was not found. */
typedef void device_search_fn(const struct error *err, void *data);

/* Looks for n > 0 devices, each as device_find() does. done is called once, never before this
 * returns. Returns NULL and sets err if memory runs out. */
struct device_search *device_search_start(struct device_watch *w,
					  const struct device_address *addresses, size_t n,
					  device_search_fn *done, void *data, struct error *err);

/* Returns the name of the i-th device, as device_found_fn gets it, after done was called with
 * ERROR_OK. Valid until the search is freed. */
const char *device_search_node(const struct device_search *s, size_t i);

/* Frees the search, which cancels pending waits without calling done. NULL is allowed. */
void device_search_free(struct device_search *s);
