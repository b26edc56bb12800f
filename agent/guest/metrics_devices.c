/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of the guest's interfaces, disks and file systems: kata_guest_*. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/guest/metrics_text.h"
#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "lib/sys.h"

#define FILESYSTEMS_MAX 256

struct filesystem {
	/* the device as "major:minor", the mount point, and the device by name */
	char *device, *point;
	char *source;
	struct statvfs stat;
};

static void metrics_devices_interface(struct metrics *m, char *line);
static void metrics_devices_disk(struct metrics *m, char *line);
static size_t metrics_find_filesystems(struct metrics *m, char *text, struct filesystem *list);
static void metrics_add_totals(struct metrics *m, const struct filesystem *fs, uint64_t total,
			       uint64_t free_, uint64_t unit);

void
metrics_of_devices(struct metrics *m)
{
	char *text, *line;

	metric_family(m, "kata_guest_netdev_stat", "gauge",
		      "Traffic counters of the guest's network interfaces.");
	text = metrics_read(m, m->roots->proc, "thread-self/net/dev");
	while ((line = strsep(&text, "\n")) != NULL)
		metrics_devices_interface(m, line);
	metric_family(m, "kata_guest_diskstat", "gauge",
		      "I/O counters of the guest's disks; "
		      "sectors of 512 bytes, times in milliseconds.");
	text = metrics_read(m, m->roots->proc, "diskstats");
	while ((line = strsep(&text, "\n")) != NULL)
		metrics_devices_disk(m, line);
}

/* Splits off the next word of a line, NULL at its end. Words are separated by any number of
 * blanks. */
static char *
metrics_devices_next_word(char **line)
{
	char *word;

	while ((word = strsep(line, " ")) != NULL && !*word) {
	}
	return word;
}

/* Writes a line "  eth0: 16 numbers" (proc_pid_net(5)). */
static void
metrics_devices_interface(struct metrics *m, char *line)
{
	static const char *const items[] = {
		"recv_bytes", "recv_packets", "recv_errs",       "recv_drop",
		"recv_fifo",  "recv_frame",   "recv_compressed", "recv_multicast",
		"sent_bytes", "sent_packets", "sent_errs",       "sent_drop",
		"sent_fifo",  "sent_colls",   "sent_carrier",    "sent_compressed",
	};
	char *colon = strrchr(line, ':'), *name = line + strspn(line, " "), *word;
	uint64_t value;

	if (!colon)
		return;
	*colon++ = '\0';
	for (size_t i = 0;
	     i < ARRAY_LEN(items) && (word = metrics_devices_next_word(&colon)) != NULL; i++) {
		if (parse_u64(word, &value))
			metric_item2(m, "interface", name, items[i], value);
	}
}

/* Writes a line " 254 0 vda 17 numbers" (Documentation/admin-guide/iostats.rst). Older kernels have
 * fewer numbers. */
static void
metrics_devices_disk(struct metrics *m, char *line)
{
	static const char *const items[] = {
		"reads",
		"merged",
		"sectors_read",
		"time_reading",
		"writes",
		"writes_merged",
		"sectors_written",
		"time_writing",
		"in_progress",
		"time_in_progress",
		"weighted_time_in_progress",
		"discards",
		"discards_merged",
		"sectors_discarded",
		"time_discarding",
		"flushes",
		"time_flushing",
	};
	char *name, *word;
	uint64_t value;

	(void)metrics_devices_next_word(&line);
	(void)metrics_devices_next_word(&line);
	name = metrics_devices_next_word(&line);
	for (size_t i = 0;
	     name && i < ARRAY_LEN(items) && (word = metrics_devices_next_word(&line)) != NULL;
	     i++) {
		if (parse_u64(word, &value))
			metric_item2(m, "disk", name, items[i], value);
	}
}

/* ---- file systems ---- */

void
metrics_of_filesystems(struct metrics *m)
{
	auto_free struct filesystem *list = calloc(FILESYSTEMS_MAX, sizeof(*list));
	char *text = metrics_read(m, m->roots->proc, "thread-self/mountinfo");
	size_t n = list && text ? metrics_find_filesystems(m, text, list) : 0;

	metric_family(m, "kata_guest_filesystem_bytes", "gauge",
		      "Size and usage in bytes of the guest's file systems on disks.");
	for (size_t i = 0; i < n; i++)
		metrics_add_totals(m, &list[i], list[i].stat.f_blocks, list[i].stat.f_bfree,
				   list[i].stat.f_frsize);
	metric_family(m, "kata_guest_filesystem_inodes", "gauge",
		      "Number and usage of inodes of the guest's file systems on disks.");
	for (size_t i = 0; i < n; i++)
		metrics_add_totals(m, &list[i], list[i].stat.f_files, list[i].stat.f_ffree, 1);
}

/* Returns whether a file system is local. A share may not answer, and the host can measure it. */
static bool
metrics_devices_is_measured(const char *type)
{
	static const char *const types[] = { "ext4", "xfs", "btrfs", "vfat", "overlay" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i], type) == 0)
			return true;
	}
	return false;
}

/* Splits a line of mountinfo in place. *id is the id of the mount. Returns false if the mount is
 * not reported. */
static bool
metrics_parse_filesystem(char *line, struct filesystem *fs, int *id)
{
	char *tail = strstr(line, " - "), *type, *options, *device = line;
	struct mountinfo info;

	if (!tail)
		return false;
	*tail = '\0';
	tail += strlen(" - ");
	type = strsep(&tail, " ");
	fs->source = strsep(&tail, " ");
	options = strsep(&tail, ",");
	if (!options || strcmp(options, "ro") == 0 || !metrics_devices_is_measured(type))
		return false;
	for (int i = 0; i < 2 && device; i++) {
		device = strchr(device, ' ');
		device = device ? device + 1 : NULL;
	}
	if (!device || !mountinfo_parse(line, &info))
		return false;
	device[strcspn(device, " ")] = '\0';
	fs->device = device;
	fs->point = info.point;
	*id = info.id;
	return true;
}

static bool
metrics_devices_measure(struct metrics *m, struct filesystem *fs, int id)
{
	/* the path may lead to another mount by now, or be hidden by one */
	auto_close int fd = path_try_open(m->roots->root, fs->point, O_PATH, 0, PATH_FOLLOW_NONE);

	return fd >= 0 && sys_mount_id(fd, "", AT_EMPTY_PATH) == id && fstatvfs(fd, &fs->stat) == 0;
}

/* Lists each device once, with its first mount. */
static size_t
metrics_find_filesystems(struct metrics *m, char *text, struct filesystem *list)
{
	char *line;
	size_t n = 0;
	int id;

	while (n < FILESYSTEMS_MAX && (line = strsep(&text, "\n")) != NULL) {
		struct filesystem *fs = &list[n];
		bool is_new;

		if (!metrics_parse_filesystem(line, fs, &id))
			continue;
		is_new = true;
		for (size_t i = 0; i < n && is_new; i++)
			is_new = strcmp(list[i].device, fs->device) != 0;
		if (is_new && metrics_devices_measure(m, fs, id))
			n++;
	}
	return n;
}

static void
metrics_add_filesystem(struct metrics *m, const struct filesystem *fs, const char *item,
		       uint64_t value)
{
	metric_sample(
		m, value,
		METRIC_LABELS({ "mount", fs->point }, { "device", fs->source }, { "item", item }),
		3);
}

static void
metrics_add_totals(struct metrics *m, const struct filesystem *fs, uint64_t total, uint64_t free_,
		   uint64_t unit)
{
	if (free_ > total)
		free_ = total;
	metrics_add_filesystem(m, fs, "total", total * unit);
	metrics_add_filesystem(m, fs, "used", (total - free_) * unit);
	metrics_add_filesystem(m, fs, "available", free_ * unit);
}
