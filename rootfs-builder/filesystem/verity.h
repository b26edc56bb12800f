/* SPDX-License-Identifier: Apache-2.0 */
/* The hash tree of dm-verity, made by veritysetup(8), and the kernel parameters that use it. */
#pragma once

#include <stdint.h>

#include "rootfs-builder/build.h"

#define VERITY_BLOCK 4096
/* Length of a SHA-256 and of the salt in hexadecimal. */
#define VERITY_HEX 64

struct verity {
	char root_hash[VERITY_HEX + 1], salt[VERITY_HEX + 1];
	uint64_t data_blocks;
};

/* Writes the hash tree of the file `data`, a multiple of VERITY_BLOCK bytes long, to the file
 * `hash`, as Kata expects it: without a superblock. The salt is derived from the image. Verifies
 * the result. */
int verity_make(struct build *build, const char *data, const char *hash, struct verity *out,
		struct error *err);

/* Returns the value of Kata's option kernel_verity_params, which is also the content of its file
 * root_hash_<variant>.txt. The caller frees it. NULL if memory is exhausted. */
char *verity_kata_parameters(const struct verity *v);

/* Returns the kernel parameters that put a device with dm-verity together from two partitions. The
 * caller frees them. */
char *verity_kernel_parameters(const struct verity *v, const char *data_device,
			       const char *hash_device);
