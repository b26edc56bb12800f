/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/elffile.h"

#include <elf.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/cleanup.h"

static const struct {
	const char *arch;
	uint16_t machine;
} machines[] = {
	{ "x86_64", EM_X86_64 },
	{ "aarch64", EM_AARCH64 },
	{ "riscv64", EM_RISCV },
};

static const char *elf_machine_name(uint16_t machine);
static int elf_headers_failed(const char *what, struct error *err);

int
elf_machine(const char *arch, uint16_t *out, struct error *err)
{
	struct utsname here;

	if (!arch && uname(&here) < 0)
		return error_sys(err, "failed to find the architecture of this machine");
	if (!arch)
		arch = here.machine;
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		if (!strcmp(arch, machines[i].arch)) {
			*out = machines[i].machine;
			return 0;
		}
	}
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "unknown architecture %s (known: x86_64, aarch64, riscv64)", arch);
}

int
elf_check(const char *what, const uint8_t *bytes, size_t n, uint16_t machine, struct error *err)
{
	Elf64_Ehdr head;

	if (n < sizeof(head) || memcmp(bytes, ELFMAG, SELFMAG) != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not an ELF file", what);
	memcpy(&head, bytes, sizeof(head));
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != ELFDATA2LSB)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is not a 64-bit little-endian ELF file", what);
	if (head.e_machine != machine)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is for %s (machine %u), the image is for %s", what,
				 elf_machine_name(head.e_machine), head.e_machine,
				 elf_machine_name(machine));
	return 0;
}

static const char *
elf_machine_name(uint16_t machine)
{
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		if (machines[i].machine == machine)
			return machines[i].arch;
	}
	return "another machine";
}

int
elf_interpreter(const char *what, const uint8_t *bytes, size_t n, const char **interp,
		struct error *err)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	memcpy(&head, bytes, sizeof(head));
	if (head.e_type != ET_EXEC && head.e_type != ET_DYN)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a program", what);
	if (head.e_phentsize != sizeof(part) || head.e_phnum == 0)
		return elf_headers_failed(what, err);
	*interp = NULL;
	for (size_t i = 0; i < head.e_phnum; i++) {
		if (head.e_phoff > n || n - head.e_phoff < (i + 1) * sizeof(part))
			return elf_headers_failed(what, err);
		memcpy(&part, bytes + head.e_phoff + i * sizeof(part), sizeof(part));
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
