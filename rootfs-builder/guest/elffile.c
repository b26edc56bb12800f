/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/elffile.h"

#include <string.h>

#include "rootfs-builder/guest/arch.h"

#define OUR_BYTE_ORDER (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? ELFDATA2MSB : ELFDATA2LSB)

static const char *elf_machine_name(uint16_t machine);
static int elf_headers_failed(const char *what, struct error *err);

int
elf_check(const char *what, const uint8_t *bytes, size_t n, uint16_t machine, struct error *err)
{
	const struct arch *arch = arch_of_machine(machine);
	bool is_big = arch && arch->is_big_endian;
	Elf64_Ehdr head;

	if (n < sizeof(head) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not an ELF file", what);
	elf_read_head(bytes, &head);
	if (head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    (head.e_ident[EI_DATA] != ELFDATA2LSB && head.e_ident[EI_DATA] != ELFDATA2MSB))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a 64-bit ELF file", what);
	if (head.e_machine != machine)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is for %s (machine %u), the image is for %s", what,
				 elf_machine_name(head.e_machine), head.e_machine,
				 elf_machine_name(machine));
	if ((head.e_ident[EI_DATA] == ELFDATA2MSB) != is_big)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: byte order is not that of %s",
				 what, elf_machine_name(machine));
	return 0;
}

void
elf_read_head(const uint8_t *bytes, Elf64_Ehdr *out)
{
	memcpy(out, bytes, sizeof(*out));
	if (out->e_ident[EI_DATA] == OUR_BYTE_ORDER)
		return;
	out->e_type = __builtin_bswap16(out->e_type);
	out->e_machine = __builtin_bswap16(out->e_machine);
	out->e_version = __builtin_bswap32(out->e_version);
	out->e_entry = __builtin_bswap64(out->e_entry);
	out->e_phoff = __builtin_bswap64(out->e_phoff);
	out->e_shoff = __builtin_bswap64(out->e_shoff);
	out->e_flags = __builtin_bswap32(out->e_flags);
	out->e_ehsize = __builtin_bswap16(out->e_ehsize);
	out->e_phentsize = __builtin_bswap16(out->e_phentsize);
	out->e_phnum = __builtin_bswap16(out->e_phnum);
	out->e_shentsize = __builtin_bswap16(out->e_shentsize);
	out->e_shnum = __builtin_bswap16(out->e_shnum);
	out->e_shstrndx = __builtin_bswap16(out->e_shstrndx);
}

void
elf_order_part(const Elf64_Ehdr *head, Elf64_Phdr *part)
{
	if (head->e_ident[EI_DATA] == OUR_BYTE_ORDER)
		return;
	part->p_type = __builtin_bswap32(part->p_type);
	part->p_flags = __builtin_bswap32(part->p_flags);
	part->p_offset = __builtin_bswap64(part->p_offset);
	part->p_vaddr = __builtin_bswap64(part->p_vaddr);
	part->p_paddr = __builtin_bswap64(part->p_paddr);
	part->p_filesz = __builtin_bswap64(part->p_filesz);
	part->p_memsz = __builtin_bswap64(part->p_memsz);
	part->p_align = __builtin_bswap64(part->p_align);
}

void
elf_order_dynamic(const Elf64_Ehdr *head, Elf64_Dyn *row)
{
	if (head->e_ident[EI_DATA] == OUR_BYTE_ORDER)
		return;
	row->d_tag = (Elf64_Sxword)__builtin_bswap64((uint64_t)row->d_tag);
	row->d_un.d_val = __builtin_bswap64(row->d_un.d_val);
}

static const char *
elf_machine_name(uint16_t machine)
{
	const struct arch *arch = arch_of_machine(machine);

	return arch ? arch->name : "another machine";
}

int
elf_interpreter(const char *what, const uint8_t *bytes, size_t n, const char **interp,
		struct error *err)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	elf_read_head(bytes, &head);
	if (head.e_type != ET_EXEC && head.e_type != ET_DYN)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a program", what);
	if (head.e_phentsize != sizeof(part) || head.e_phnum == 0)
		return elf_headers_failed(what, err);
	*interp = NULL;
	for (size_t i = 0; i < head.e_phnum; i++) {
		if (head.e_phoff > n || n - head.e_phoff < (i + 1) * sizeof(part))
			return elf_headers_failed(what, err);
		memcpy(&part, bytes + head.e_phoff + i * sizeof(part), sizeof(part));
		elf_order_part(&head, &part);
		if (part.p_type != PT_INTERP)
			continue;
		if (part.p_offset >= n || part.p_filesz > n - part.p_offset ||
		    !memchr(bytes + part.p_offset, 0, part.p_filesz))
			return elf_headers_failed(what, err);
		*interp = (const char *)bytes + part.p_offset;
	}
	return 0;
}

static int
elf_headers_failed(const char *what, struct error *err)
{
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "%s: program headers are not at the beginning of the file", what);
}
