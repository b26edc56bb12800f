/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/relro.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The first object is the program. */
static int
relro_protect_object(struct dl_phdr_info *info, size_t size, void *data)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)data;
	for (unsigned int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t begin = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		/* It ends with a page, unless the kernel's pages are larger than the linker knew;
		 * what follows must stay writable. */
		uintptr_t end = (info->dlpi_addr + p->p_vaddr + p->p_memsz) & ~(page - 1);

		if (p->p_type == PT_GNU_RELRO && begin < end)
			(void)mprotect((void *)begin, end - begin, PROT_READ);
	}
	return 1;
}

void
relro_protect(void)
{
	(void)dl_iterate_phdr(relro_protect_object, NULL);
}
