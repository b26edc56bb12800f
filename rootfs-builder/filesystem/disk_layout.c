/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/filesystem/disk_layout.h"

#include <string.h>

#include "rootfs-builder/filesystem/filesystem.h"

#define MIB ((uint64_t)1 << 20)

/* Offsets in an MBR, and of the fields of one of its entries. */
#define MBR_ID       440
#define MBR_ENTRIES  446
#define MBR_ENTRY    16
#define MBR_MARK     510
#define ENTRY_CHS    1
#define ENTRY_TYPE   4
#define ENTRY_CHS_TO 5
#define ENTRY_START  8
#define ENTRY_COUNT  12
#define TYPE_LINUX   0x83

/* Offsets in the superblock of a namespace: a driver of Linux. */
#define PFN_SIGNATURE     "NVDIMM_PFN_INFO"
#define PFN_VERSION_MINOR 54
#define PFN_DATA_OFFSET   56
#define PFN_MODE          72
#define PFN_ALIGN         84
#define PFN_CHECKSUM      4088
/* Page structures in ordinary memory, not in the NVDIMM. */
#define PFN_MODE_RAM 1

static void
disk_put_le(uint8_t *out, uint64_t value, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		out[i] = (uint8_t)(value >> 8 * i);
}

bool
disk_table_parse(const char *name, enum disk_table *out)
{
	static const char *const names[] = {
		[DISK_TABLE_NONE] = "none", [DISK_TABLE_MBR] = "mbr", [DISK_TABLE_GPT] = "gpt"
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			*out = (enum disk_table)i;
			return true;
		}
	}
	return false;
}

int
disk_layout_plan(struct disk_layout *layout, enum disk_table table, bool dax, uint64_t fs_size,
		 uint64_t hash_size, uint64_t align, struct error *err)
{
	const uint64_t sizes[DISK_PARTS_MAX] = { fs_size, hash_size };
	uint64_t at;

	*layout = (struct disk_layout){ .table = table, .base = dax ? DISK_DAX_OFFSET : 0 };
	at = layout->base + (table == DISK_TABLE_NONE ? 0 : MIB);
	for (unsigned i = 0; i < DISK_PARTS_MAX && sizes[i]; i++) {
		layout->parts[i] = (struct disk_part){ at, filesystem_round(sizes[i], 4096) };
		layout->n_parts++;
		at = filesystem_round(at + sizes[i], table == DISK_TABLE_NONE ? 4096 : MIB);
	}
	/* The copy of a GPT at the end. */
	if (table == DISK_TABLE_GPT)
		at += MIB;
	layout->size = filesystem_round(at, align);
	if (table == DISK_TABLE_MBR && layout->size / DISK_SECTOR > UINT32_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "an MBR cannot describe a disk of %llu bytes: use a GPT",
				 (unsigned long long)layout->size);
	return 0;
}

void
disk_mbr(const struct disk_layout *layout, uint64_t at, uint32_t id, uint8_t out[DISK_SECTOR])
{
	memset(out, 0, DISK_SECTOR);
	disk_put_le(out + MBR_ID, id, 4);
	for (unsigned i = 0; i < layout->n_parts; i++) {
		const struct disk_part *part = &layout->parts[i];
		uint8_t *entry = out + MBR_ENTRIES + (size_t)i * MBR_ENTRY;

		/* Cylinders, heads and sectors: beyond what they can express. */
		disk_put_le(entry + ENTRY_CHS, 0xfffffe, 3);
		disk_put_le(entry + ENTRY_CHS_TO, 0xfffffe, 3);
		entry[ENTRY_TYPE] = TYPE_LINUX;
		disk_put_le(entry + ENTRY_START, (part->start - at) / DISK_SECTOR, 4);
		disk_put_le(entry + ENTRY_COUNT, part->size / DISK_SECTOR, 4);
	}
	disk_put_le(out + MBR_MARK, 0xaa55, 2);
}

/* Returns Fletcher's checksum of 64 bits over little-endian words of 32 bits. */
static uint64_t
disk_fletcher64(const uint8_t *bytes, size_t n)
{
	uint32_t low = 0, high = 0;

	for (size_t i = 0; i < n; i += 4) {
		low += (uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 |
		       (uint32_t)bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24;
		high += low;
	}
	return (uint64_t)high << 32 | low;
}

void
disk_dax_header(uint8_t out[DISK_DAX_HEADER])
{
	memset(out, 0, DISK_DAX_HEADER);
	memcpy(out, PFN_SIGNATURE, sizeof(PFN_SIGNATURE));
	disk_put_le(out + PFN_VERSION_MINOR, 2, 2);
	disk_put_le(out + PFN_DATA_OFFSET, DISK_DAX_OFFSET, 8);
	disk_put_le(out + PFN_MODE, PFN_MODE_RAM, 4);
	disk_put_le(out + PFN_ALIGN, DISK_DAX_OFFSET, 4);
	disk_put_le(out + PFN_CHECKSUM, disk_fletcher64(out, DISK_DAX_HEADER), 8);
}
