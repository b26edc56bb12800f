/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing processors and memory online through sysfs. */
#include "agent/guest/hotplug.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define CPU_DIR    "devices/system/cpu"
#define MEMORY_DIR "devices/system/memory"

#define ENTRIES_MAX 65536

static int hotplug_list_numbered(int sys, const char *path, const char *prefix, uint32_t **out,
				 size_t *n, struct error *err);
static bool hotplug_is_offline(int sys, const char *path);
static int hotplug_probe_block(int sys, uint64_t address, uint64_t block, struct error *err);

/* Counts the numbers of a list such as "0-3,8". Returns false if it is malformed. */
static bool
hotplug_count_list(char *text, uint32_t *n)
{
	char *word, *dash;
	uint32_t first, last;

	*n = 0;
	while ((word = strsep(&text, ",")) != NULL) {
		dash = strchr(word, '-');
		if (dash)
			*dash = '\0';
		if (!parse_u32(word, &first) || !parse_u32(dash ? dash + 1 : word, &last) ||
		    last < first || last - first >= ENTRIES_MAX)
			return false;
		*n += last - first + 1;
	}
	return true;
}

int
hotplug_cpus_online(int sys, uint32_t *n, struct error *err)
{
	char text[1024];

	if (read_text_at(sys, CPU_DIR "/online", text, sizeof(text)) < 0)
		return error_sys(err, "failed to read /sys/" CPU_DIR "/online");
	if (!hotplug_count_list(text, n))
		return error_set(err, ERROR_INTERNAL,
				 "/sys/" CPU_DIR "/online: invalid list \"%.80s\"", text);
	return 0;
}

int
hotplug_online_cpus(int sys, uint32_t wanted, uint32_t *online, struct error *err)
{
	auto_free uint32_t *list = NULL;
	char path[80];
	size_t n;

	if (hotplug_cpus_online(sys, online, err) < 0)
		return -1;
	if (*online >= wanted)
		return 0;
	if (hotplug_list_numbered(sys, CPU_DIR, "cpu", &list, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n && *online < wanted; i++) {
		(void)snprintf(path, sizeof(path), CPU_DIR "/cpu%u/online", list[i]);
		if (!hotplug_is_offline(sys, path))
			continue;
		if (write_text_at(sys, path, "1") < 0)
			error_sys(err, "failed to bring processor %u online", list[i]);
		else
			(*online)++;
	}
	/* read again, since other programs may change it, too */
	return hotplug_cpus_online(sys, online, err);
}

unsigned int
hotplug_online_memory(int sys, unsigned int *onlined)
{
	struct error err = ERROR_INIT;
	auto_free uint32_t *list = NULL;
	unsigned int failed = 0;
	char path[80];
	size_t n;

	*onlined = 0;
	if (hotplug_list_numbered(sys, MEMORY_DIR, "memory", &list, &n, &err) < 0)
		return 0;
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), MEMORY_DIR "/memory%u/online", list[i]);
		if (!hotplug_is_offline(sys, path))
			continue;
		if (write_text_at(sys, path, "1") < 0)
			failed++;
		else
			(*onlined)++;
	}
	return failed;
}

static int
hotplug_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Lists the numbers of the entries <prefix>N of a directory, sorted. The caller frees the list. */
static int
hotplug_list_numbered(int sys, const char *path, const char *prefix, uint32_t **out, size_t *n,
		      struct error *err)
{
	int fd = openat(sys, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	uint32_t *list = NULL, number;

	*n = 0;
	if (!dir) {
		error_sys(err, "failed to open /sys/%s", path);
		close_fd(&fd);
		return -1;
	}
	while ((e = readdir(dir)) != NULL && *n < ENTRIES_MAX) {
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 ||
		    !parse_u32(e->d_name + strlen(prefix), &number))
			continue;
		if (*n % 64 == 0) {
			uint32_t *more = realloc(list, (*n + 64) * sizeof(*list));

			if (!more)
				break;
			list = more;
		}
		list[(*n)++] = number;
	}
	/* the loop ended early for lack of memory */
	if (e && *n < ENTRIES_MAX) {
		(void)closedir(dir);
		free(list);
		return error_nomem(err, "listing processors and memory");
	}
	(void)closedir(dir);
	if (*n > 0)
		qsort(list, *n, sizeof(*list), hotplug_order);
	*out = list;
	return 0;
}

/* Returns whether the file `online` is 0. A device that cannot be taken offline has no such
 * file. */
static bool
hotplug_is_offline(int sys, const char *path)
{
	char text[8];

	return read_text_at(sys, path, text, sizeof(text)) >= 0 && strcmp(text, "0") == 0;
}

int
hotplug_probe_memory(int sys, const uint64_t *addresses, size_t n, struct error *err)
{
	uint64_t block = 0;
	char text[32];

	if (read_text_at(sys, MEMORY_DIR "/block_size_bytes", text, sizeof(text)) >= 0)
		(void)parse_hex(text, &block);
	for (size_t i = 0; i < n; i++) {
		if (hotplug_probe_block(sys, addresses[i], block, err) < 0)
			return -1;
	}
	return 0;
}

/* Returns whether firmware or an earlier call has added the memory at this address. */
static bool
hotplug_has_block(int sys, uint64_t address, uint64_t block)
{
	char path[80];

	if (block == 0)
		return false;
	(void)snprintf(path, sizeof(path), MEMORY_DIR "/memory%llu",
		       (unsigned long long)(address / block));
	return faccessat(sys, path, F_OK, 0) == 0;
}

static int
hotplug_probe_block(int sys, uint64_t address, uint64_t block, struct error *err)
{
	char text[32];

	if (block > 0 && address % block != 0)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"invalid address 0x%llx: not aligned to a memory block of 0x%llx bytes",
			(unsigned long long)address, (unsigned long long)block);
	if (hotplug_has_block(sys, address, block))
		return 0;
	(void)snprintf(text, sizeof(text), "0x%llX", (unsigned long long)address);
	if (write_text_at(sys, MEMORY_DIR "/probe", text) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOENT)
		return error_set(
			err, ERROR_FAILED_PRECONDITION,
			"the guest's kernel does not support probing memory: no /sys/" MEMORY_DIR
			"/probe");
	return error_sys(err, "failed to probe memory at %s", text);
}
