/* SPDX-License-Identifier: Apache-2.0 */
/* File systems whose options are longer than fsconfig(2) takes: an overlay of many layers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* Has the spec an option whose value does not fit? Pure. */
bool mount_is_long(const Grpc__Mount *spec);

/* As mount_new_fs(), by mount(2) in the directory `aside` of the caller's mount namespace, which nobody else may change; nothing
 * is left there. The options may be one page long together. */
int mount_long_fs(const Grpc__Mount *spec, const char *label, uint64_t attrs, const char *aside,
		  struct error *err);
