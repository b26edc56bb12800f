/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the header of a memory namespace into an NVDIMM's file: pmem-header FILE. The data begin
 * at 2 MiB, as in Kata's images. With it the kernel keeps page structures for the memory, without
 * which it has no DAX. Source: the driver in Linux.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_OFFSET 4096
#define DATA_OFFSET   (2u << 20)
#define ALIGNMENT     (2u << 20)
#define PAGE          4096
/* page structures in ordinary memory */
#define MODE_RAM 1

struct header {
	char signature[16];
	uint8_t uuid[16], parent_uuid[16];
	uint32_t flags;
	uint16_t version_major, version_minor;
	uint64_t data_offset, pages;
	uint32_t mode, start_pad, end_trunc, alignment;
	uint8_t padding[4000];
	uint64_t checksum;
};
_Static_assert(sizeof(struct header) == PAGE, "the header is a page");

/* Fletcher's checksum of 64 bits, of a header whose checksum is 0. */
static uint64_t
checksum(const struct header *h)
{
	uint32_t word, low = 0;
	uint64_t high = 0;

	for (size_t i = 0; i < sizeof(*h); i += sizeof(word)) {
		memcpy(&word, (const char *)h + i, sizeof(word));
		low += word;
		high += low;
	}
	return high << 32 | low;
}

int
main(int argc, char **argv)
{
	struct header h = { .signature = "NVDIMM_PFN_INFO",
			    .uuid = { 1, 2, 3, 4 },
			    .version_major = 1,
			    .version_minor = 2,
			    .data_offset = DATA_OFFSET,
			    .mode = MODE_RAM,
			    .alignment = ALIGNMENT };
	int fd = argc == 2 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= (off_t)DATA_OFFSET) {
		fprintf(stderr, "pmem-header: no file of more than 2 MiB\n");
		return 1;
	}
	h.pages = ((uint64_t)st.st_size - DATA_OFFSET) / PAGE;
	h.checksum = checksum(&h);
	return pwrite(fd, &h, sizeof(h), HEADER_OFFSET) != (ssize_t)sizeof(h);
}
