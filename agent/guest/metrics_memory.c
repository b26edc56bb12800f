/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the guest's memory: kata_guest_meminfo and kata_guest_vm_stat. */
#include <string.h>

#include "agent/guest/metrics_text.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

/* The items that hosts expect, which are always reported; 0 if the kernel lacks them. */
static const struct {
	const char *key, *item;
} known[] = {
	{ "MemTotal", "mem_total" },
	{ "MemFree", "mem_free" },
	{ "MemAvailable", "mem_available" },
	{ "Buffers", "buffers" },
	{ "Cached", "cached" },
	{ "SwapCached", "swap_cached" },
	{ "Active", "active" },
	{ "Inactive", "inactive" },
	{ "Active(anon)", "active_anon" },
	{ "Inactive(anon)", "inactive_anon" },
	{ "Active(file)", "active_file" },
	{ "Inactive(file)", "inactive_file" },
	{ "Unevictable", "unevictable" },
	{ "Mlocked", "mlocked" },
	{ "HighTotal", "high_total" },
	{ "HighFree", "high_free" },
	{ "LowTotal", "low_total" },
	{ "LowFree", "low_free" },
	{ "MmapCopy", "mmap_copy" },
	{ "SwapTotal", "swap_total" },
	{ "SwapFree", "swap_free" },
	{ "Dirty", "dirty" },
	{ "Writeback", "writeback" },
	{ "AnonPages", "anon_pages" },
	{ "Mapped", "mapped" },
	{ "Shmem", "shmem" },
	{ "KReclaimable", "k_reclaimable" },
	{ "Slab", "slab" },
	{ "SReclaimable", "s_reclaimable" },
	{ "SUnreclaim", "s_unreclaim" },
	{ "KernelStack", "kernel_stack" },
	{ "PageTables", "page_tables" },
	{ "Quicklists", "quicklists" },
	{ "NFS_Unstable", "nfs_unstable" },
	{ "Bounce", "bounce" },
	{ "WritebackTmp", "writeback_tmp" },
	{ "CommitLimit", "commit_limit" },
	{ "Committed_AS", "committed_as" },
	{ "VmallocTotal", "vmalloc_total" },
	{ "VmallocUsed", "vmalloc_used" },
	{ "VmallocChunk", "vmalloc_chunk" },
	{ "HardwareCorrupted", "hardware_corrupted" },
	{ "AnonHugePages", "anon_hugepages" },
	{ "ShmemHugePages", "shmem_hugepages" },
	{ "ShmemPmdMapped", "shmem_pmd_mapped" },
	{ "CmaTotal", "cma_total" },
	{ "CmaFree", "cma_free" },
	{ "HugePages_Total", "hugepages_total" },
	{ "HugePages_Free", "hugepages_free" },
	{ "HugePages_Rsvd", "hugepages_rsvd" },
	{ "HugePages_Surp", "hugepages_surp" },
	{ "Hugepagesize", "hugepagesize" },
	{ "Hugetlb", "hugetlb" },
	{ "DirectMap4k", "direct_map_4k" },
	{ "DirectMap4M", "direct_map_4M" },
	{ "DirectMap2M", "direct_map_2M" },
	{ "DirectMap1G", "direct_map_1G" },
	{ "Percpu", "per_cpu" },
};

static void metrics_memory_meminfo(struct metrics *m);
static void metrics_memory_vmstat(struct metrics *m);

void
metrics_of_memory(struct metrics *m)
{
	metrics_memory_meminfo(m);
	metrics_memory_vmstat(m);
}

/* Parses "Key:   123 kB". A number in kB is converted to bytes. */
static bool
metrics_memory_parse_line(char *line, uint64_t *value)
{
	char *colon = strchr(line, ':'), *number, *unit;

	if (!colon)
		return false;
	*colon = '\0';
	number = colon + 1 + strspn(colon + 1, " ");
	unit = number + strcspn(number, " ");
	if (*unit)
		*unit++ = '\0';
	if (!parse_u64(number, value))
		return false;
	if (strcmp(unit, "kB") == 0 && __builtin_mul_overflow(*value, 1024, value))
		*value = UINT64_MAX;
	return true;
}

static bool
metrics_memory_add_known(const char *key, uint64_t value, uint64_t *values)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(known[i].key, key) == 0) {
			values[i] = value;
			return true;
		}
	}
	return false;
}

static void
metrics_memory_meminfo(struct metrics *m)
{
	char *text = metrics_read(m, m->roots->proc, "meminfo"), *line;
	uint64_t values[ARRAY_LEN(known)] = { 0 }, value;
	char item[64];

	if (!text)
		return;
	metric_family(m, "kata_guest_meminfo", "gauge", "Memory of the guest in bytes.");
	while ((line = strsep(&text, "\n")) != NULL) {
		if (!metrics_memory_parse_line(line, &value) ||
		    metrics_memory_add_known(line, value, values))
			continue;
		/* unknown keys of newer kernels */
		metrics_snake(line, item, sizeof(item));
		if (*item)
			metric_item(m, item, value);
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		metric_item(m, known[i].item, values[i]);
}

static void
metrics_memory_vmstat(struct metrics *m)
{
	char *text = metrics_read(m, m->roots->proc, "vmstat"), *key;
	uint64_t value;

	metric_family(m, "kata_guest_vm_stat", "gauge",
		      "Counters of the guest's memory management.");
	while (text && metrics_next_pair(&text, &key, &value))
		metric_item(m, key, value);
}
