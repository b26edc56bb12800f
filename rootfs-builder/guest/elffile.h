/* SPDX-License-Identifier: Apache-2.0 */
/* ELF headers of programs and kernel modules. Pure functions over bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Stores the e_machine of an architecture as named by uname(1) ("x86_64", "aarch64"); NULL
 * stands for that of this machine. INVALID_ARGUMENT with a list of the known names for any
 * other. */
int elf_machine(const char *arch, uint16_t *out, struct error *err);

/* Checks that the file is a 64-bit ELF file for the machine. Its first 64 bytes suffice. `what`
 * names it in messages. */
int elf_check(const char *what, const uint8_t *bytes, size_t n, uint16_t machine,
	      struct error *err);

/* Finds the interpreter of a program: *interp is a string in `bytes`, or NULL for a static program.
 * The program headers and the string must be within the first n bytes of the file, which
 * elf_check() must have accepted. */
int elf_interpreter(const char *what, const uint8_t *bytes, size_t n, const char **interp,
		    struct error *err);
