/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of inputs and outputs, in the order of --help. */
#include <stddef.h>

#include "rootfs-builder/build.h"

/* A --from without a name is of the first kind that recognizes it. */
const struct input_kind *const input_kinds[] = {
	&input_none, &input_oci, &input_dir, &input_tar, &input_debian, NULL,
};

const struct output_kind *const output_kinds[] = {
	&output_initrd, &output_disk, &output_dir, &output_tar, &output_oci, NULL,
};
