/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root file system in layers on disks: all storages of a request with the option
 * X-kata.multi-layer=true, or the driver erofs.multi-layer, describe one overlay. They become
 * ordinary storages: one for each disk, below RUN_DIR/OWNER/multi-layer, and the overlay. Pure,
 * never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/storage/spec.h"
#include "lib/error.h"

/* Only for its name: its storages are replaced before they are mounted. */
extern const struct storage_driver storage_layers_driver;

/* The storages that replace the layers of a request. */
struct storage_layers {
	struct storage_spec *specs;
	size_t n;
	/* Memory of their strings and lists. */
	void **memory;
	size_t n_memory, memory_size;
};

/* Returns whether the storage is one of the layers of a root. */
bool storage_is_layer(const struct storage_spec *spec);

/* Plans the storages for the layers among specs[0..n), in the order in which they are to be
 * mounted; none if there are no layers. Strings may be those of `specs`, and `owner` must be a
 * container. Returns 0, or -1 and err (INVALID_ARGUMENT); the plan must be released in both
 * cases. */
int storage_layers_plan(struct storage_layers *plan, const char *owner,
			const struct storage_spec *specs, size_t n, struct error *err);
void storage_layers_release(struct storage_layers *plan);
