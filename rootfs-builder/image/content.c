/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/image/content.h"

#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define CHUNK ((size_t)64 << 10)

int
content_read(const struct image_entry *entry, content_take_fn *take, void *data, struct error *err)
{
	auto_close int fd = -1;
	uint64_t left = entry->size;
	uint8_t bytes[CHUNK];

	if (!entry->source) {
		for (uint64_t at = 0; at < left; at += CHUNK) {
			size_t n = left - at < CHUNK ? (size_t)(left - at) : CHUNK;

			if (take(entry->data + at, n, data, err) < 0)
				return -1;
		}
		return 0;
	}
	fd = image_open_source(entry, err);
	if (fd < 0)
		return -1;
	while (left) {
		ssize_t n = read_full(fd, bytes, left < CHUNK ? (size_t)left : CHUNK);

		if (n < 0)
			return error_sys(err, "failed to read %s", entry->source);
		if (n == 0)
			return error_set(err, ERROR_ABORTED,
					 "failed to read %s: file changed while the image was "
					 "being built",
					 entry->source);
		if (take(bytes, (size_t)n, data, err) < 0)
			return -1;
		left -= (uint64_t)n;
	}
	return 0;
}
