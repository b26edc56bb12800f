/* SPDX-License-Identifier: Apache-2.0 */
/* The devices between a disk and the file system on it: a partition, dm-verity. Worker only: may
 * block. */
#pragma once

#include "agent/storage/driver.h"
#include "lib/error.h"

/* Size of the longest node, including its NUL. */
#define DISK_STACK_NODE_MAX 80

struct worker;

/* Checks the options (X-kata.partition-number, X-kata.dmverity.*): INVALID_ARGUMENT. Pure. */
int disk_stack_check(const struct storage_spec *spec, struct error *err);

/* Stores the node ("/dev/...") to mount for m, whose m->node is the disk: the disk itself, its
 * partition, or a dm-verity device on either. Announces what it makes. */
int disk_stack_open(struct worker *w, const struct storage_mount *m,
		    char node[static DISK_STACK_NODE_MAX], struct error *err);

/* Removes what disk_stack_open() made. A driver's `unmounted`. */
void disk_stack_close(struct worker *w, const struct storage_mount *m);
