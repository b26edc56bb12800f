/* SPDX-License-Identifier: Apache-2.0 */
/* Input: a tar archive. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/tarread.h"
#include "rootfs-builder/build.h"

struct tar_stream {
	struct build *build;
	int fd;
	uint64_t done, size;
	uint8_t bytes[64 << 10];
};

static bool
tar_recognizes(const char *source)
{
	static const char *const suffixes[] = { ".tar",    ".tar.gz",  ".tgz",
						".tar.xz", ".tar.zst", ".tar.zstd" };
	size_t len = strlen(source);

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		size_t n = strlen(suffixes[i]);

		if (len > n && !strcmp(source + len - n, suffixes[i]))
			return true;
	}
	return false;
}

static ssize_t
tar_next(void *data, const void **bytes, struct error *err)
{
	struct tar_stream *stream = data;
	ssize_t n = tar_read_fd(stream->fd, stream->bytes, sizeof(stream->bytes), err);

	if (n < 0)
		return -1;
	*bytes = stream->bytes;
	stream->done += (uint64_t)n;
	report_progress(stream->build->report, stream->done, stream->size);
	return n;
}

static int
tar_read_input(struct build *build, const char *source, struct error *err)
{
	auto_free struct tar_stream *stream = malloc(sizeof(*stream));
	auto_close int fd = open(source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (!stream)
		return error_nomem(err, "reading an archive");
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open %s", source);
	stream->build = build;
	stream->fd = fd;
	stream->done = 0;
	stream->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	return tar_read(build, source, tar_next, stream, false, err);
}

const struct input_kind input_tar = {
	.name = "tar",
	.help = "a tar archive, plain or compressed with gzip, xz or zstd",
	.recognizes = tar_recognizes,
	.read = tar_read_input,
};
