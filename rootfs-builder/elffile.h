/* SPDX-License-Identifier: Apache-2.0 */
/* What a program or kernel module says of itself in its ELF headers. Pure functions over bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* The e_machine of an architecture as uname(1) names it ("x86_64", "aarch64"); NULL: of this
 * machine. INVALID_ARGUMENT, listing the known ones, for any other name. */
int elf_machine(const char *arch, uint16_t *out, struct error *err);

/* Checks that `what` is a 64-bit ELF file for the machine. Needs its first 64 bytes only. */
int elf_check(const char *what, const uint8_t *bytes, size_t n, uint16_t machine,
	      struct error *err);

/* A program's interpreter: *interp points into bytes and ends with NUL, or is NULL for a static
 * program. The program headers and the name must lie within the n first bytes of the file.
 * elf_check() comes first. */
int elf_interpreter(const char *what, const uint8_t *bytes, size_t n, const char **interp,
		    struct error *err);
