/* SPDX-License-Identifier: Apache-2.0 */
/* The architectures that images are made for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct arch {
	/* That of uname(1), which is the name of this project. */
	const char *name;
	/* Debian's name, and that of OCI images and Docker. */
	const char *debian, *oci;
	/* Directory of libraries in Debian's roots. */
	const char *triplet;
	/* Types of GPT partitions: those of the Discoverable Partitions Specification for a root
	 * and the hash tree of a root. */
	const char *gpt_root, *gpt_verity;
	/* In headers of ELF files. */
	uint16_t machine;
	bool is_big_endian;
};

/* Returns the architecture of that name, or NULL. */
const struct arch *arch_find(const char *name);
/* Returns the architecture with that machine in its ELF files, or NULL. */
const struct arch *arch_of_machine(uint16_t machine);
/* Returns arch_find(); `name` NULL stands for this machine. INVALID_ARGUMENT with a list of the
 * known names if there is none. */
const struct arch *arch_require(const char *name, struct error *err);
