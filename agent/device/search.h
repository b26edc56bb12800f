/* SPDX-License-Identifier: Apache-2.0 */
/* Several block devices at once: all found, or the first failure. Loop side: never blocks. */
#pragma once

#include <stddef.h>

#include "agent/device/device.h"

struct device_search;

/* err->code is ERROR_OK, or why one of them was not found. */
typedef void device_search_fn(const struct error *err, void *data);

/* Looks for n > 0 devices, each as device_find_block() does. done is called once, never from inside. NULL and err. */
struct device_search *device_search_start(struct device_watch *w, const char *const *locations,
					  size_t n, device_search_fn *done, void *data,
					  struct error *err);

/* "/dev/<name>" of the i-th, once done has said that all are there. */
const char *device_search_node(const struct device_search *s, size_t i);

/* Cancels what still waits; done is not called then. NULL is allowed. */
void device_search_free(struct device_search *s);
