/* SPDX-License-Identifier: Apache-2.0 */
/* Places of partitions, and the bytes that describe them. */
#include <string.h>

#include "lib/cleanup.h"
#include "rootfs-builder/filesystem/disk_layout.h"
#include "tests/unit/rootfs-builder/fixture.h"

#define KIB ((uint64_t)1024)
#define MIB (1024 * KIB)

static struct error err;

Test(disk_layout, places)
{
	static const struct {
		enum disk_table table;
		bool dax;
		uint64_t fs, hash, align;
		uint64_t start, hash_start, size;
	} rows[] = {
		{ DISK_TABLE_NONE, false, 12 * MIB, 0, 2 * MIB, 0, 0, 12 * MIB },
		{ DISK_TABLE_NONE, true, 12 * MIB, 0, 128 * MIB, 2 * MIB, 0, 128 * MIB },
		{ DISK_TABLE_MBR, false, 12 * MIB, 0, 2 * MIB, MIB, 0, 14 * MIB },
		{ DISK_TABLE_MBR, false, 13 * MIB, 0, 2 * MIB, MIB, 0, 14 * MIB },
		{ DISK_TABLE_MBR, false, 13 * MIB, 4 * KIB, 2 * MIB, MIB, 14 * MIB, 16 * MIB },
		{ DISK_TABLE_MBR, true, 12 * MIB + 4096, 8 * KIB, 4096, 3 * MIB, 16 * MIB,
		  17 * MIB },
		{ DISK_TABLE_GPT, false, 13 * MIB, 0, 4096, MIB, 0, 15 * MIB },
		{ DISK_TABLE_GPT, true, 13 * MIB, 4 * KIB, 128 * MIB, 3 * MIB, 16 * MIB,
		  128 * MIB },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct disk_layout layout;

		REQUIRE_OK(disk_layout_plan(&layout, rows[i].table, rows[i].dax, rows[i].fs,
					    rows[i].hash, rows[i].align, &err),
			   &err);
		CHECK_EQ(layout.base, rows[i].dax ? 2 * MIB : 0, "row %zu", i);
		CHECK_EQ(layout.n_parts, rows[i].hash ? 2u : 1u, "row %zu", i);
		CHECK_EQ(layout.parts[0].start, rows[i].start, "row %zu", i);
		CHECK_EQ(layout.parts[0].size, rows[i].fs, "row %zu", i);
		CHECK_EQ(layout.parts[1].start, rows[i].hash_start, "row %zu", i);
		CHECK_EQ(layout.size, rows[i].size, "row %zu", i);
	}
}

/* The last sector that an MBR can describe. */
Test(disk_layout, mbr_limit)
{
	struct disk_layout layout;
	uint64_t tib = MIB * MIB;

	REQUIRE_OK(
		disk_layout_plan(&layout, DISK_TABLE_MBR, false, 2 * tib - 2 * MIB, 0, MIB, &err),
		&err);
	CHECK_EQ(disk_layout_plan(&layout, DISK_TABLE_MBR, false, 2 * tib, 0, MIB, &err), -1);
	expect_error(&err, ERROR_RESOURCE_EXHAUSTED, "use a GPT");
	REQUIRE_OK(disk_layout_plan(&layout, DISK_TABLE_GPT, false, 2 * tib, 0, MIB, &err), &err);
}

Test(disk_layout, mbr)
{
	static const uint8_t first[] = { 0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff,
					 0, 0x18, 0,    0,    0,    0x68, 0,    0 };
	static const uint8_t second[] = { 0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff,
					  0, 0x80, 0,    0,    0x10, 0,    0,    0 };
	static const uint8_t id[] = { 0x78, 0x56, 0x34, 0x12, 0, 0 }, none[32];
	uint8_t sector[DISK_SECTOR];
	struct disk_layout layout;

	REQUIRE_OK(
		disk_layout_plan(&layout, DISK_TABLE_MBR, true, 13 * MIB, 8 * KIB, 2 * MIB, &err),
		&err);
	disk_mbr(&layout, 0, 0x12345678, sector);
	CHECK(!memcmp(sector + 440, id, sizeof(id)));
	CHECK(!memcmp(sector + 446, first, sizeof(first)));
	CHECK(!memcmp(sector + 462, second, sizeof(second)));
	CHECK(!memcmp(sector + 478, none, sizeof(none)));
	CHECK(sector[510] == 0x55 && sector[511] == 0xaa);
	/* The same as the NVDIMM's driver sees it. */
	disk_mbr(&layout, layout.base, 0x12345678, sector);
	CHECK_EQ(sector[446 + 9], 0x08);
	CHECK_EQ(sector[462 + 9], 0x70);
}

/* The bytes that Kata's program for this writes, with its checksum. */
Test(disk_layout, dax_header)
{
	static const struct {
		size_t at, n;
		uint8_t bytes[16];
	} rows[] = {
		{ 0, 16, "NVDIMM_PFN_INFO" },
		{ 48, 16, { 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0x20, 0, 0, 0, 0, 0 } },
		{ 64, 16, { 0, 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ 80, 16, { 0, 0, 0, 0, 0, 0, 0x20, 0 } },
		{ 4088, 8, { 0x30, 0x38, 0x94, 0xe3, 0x2b, 0x03, 0x5b, 0x68 } },
	};
	uint8_t header[DISK_DAX_HEADER];
	size_t used = 0;

	disk_dax_header(header);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK(!memcmp(header + rows[i].at, rows[i].bytes, rows[i].n), "row %zu", i);
	for (size_t i = 0; i < sizeof(header); i++)
		used += header[i] != 0;
	CHECK_EQ(used, (size_t)15 + 1 + 1 + 1 + 1 + 8);
}

Test(disk_layout, table_names)
{
	enum disk_table table = DISK_TABLE_NONE;

	CHECK(disk_table_parse("gpt", &table) && table == DISK_TABLE_GPT);
	CHECK(disk_table_parse("mbr", &table) && table == DISK_TABLE_MBR);
	CHECK(disk_table_parse("none", &table) && table == DISK_TABLE_NONE);
	CHECK(!disk_table_parse("apm", &table));
}
