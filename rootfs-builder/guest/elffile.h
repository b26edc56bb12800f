/* SPDX-License-Identifier: Apache-2.0 */
/* ELF headers of programs and kernel modules. Pure functions over bytes. */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Copies the header of an ELF file, sizeof(*out) bytes, in the byte order of this machine. */
void elf_read_head(const uint8_t *bytes, Elf64_Ehdr *out);
/* Puts a program header, or a row of the dynamic section, of the file with that header into the
 * byte order of this machine. */
void elf_order_part(const Elf64_Ehdr *head, Elf64_Phdr *part);
void elf_order_dynamic(const Elf64_Ehdr *head, Elf64_Dyn *row);

/* Checks that the file is a 64-bit ELF file for the machine, in its byte order. Its first 64 bytes
 * suffice. `what` names it in messages. */
int elf_check(const char *what, const uint8_t *bytes, size_t n, uint16_t machine,
	      struct error *err);

/* Finds the interpreter of a program: *interp is a string in `bytes`, or NULL for a static program.
 * The program headers and the string must be within the first n bytes of the file, which
 * elf_check() must have accepted. */
int elf_interpreter(const char *what, const uint8_t *bytes, size_t n, const char **interp,
		    struct error *err);
