/* SPDX-License-Identifier: Apache-2.0 */
/* An initrd with a different agent: the base initrd and one more cpio segment. */
#include "ctl/vm/initrd.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/initrd.h"

static int initrd_append_file(int out, const char *path, struct error *err);

int
initrd_with_agent(const char *arch, const char *base, const char *init, const char *agent,
		  const char *output, struct error *err)
{
	char segment[PATH_MAX];
	struct initrd_spec spec = {
		.init = init,
		.agent = agent,
		.output = segment,
		.format = PACK_NONE,
		.arch = arch,
		.epoch = INITRD_EPOCH,
	};
	static const char zeros[4];
	auto_close int out = -1;
	off_t size;
	int r;

	if ((size_t)snprintf(segment, sizeof(segment), "%s.segment", output) >= sizeof(segment))
		return error_set(err, ERROR_INVALID_ARGUMENT, "file name too long: %s", output);
	if (initrd_build(&spec, NULL, err) < 0)
		return -1;
	out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out < 0) {
		(void)unlink(segment);
		return error_sys(err, "failed to write %s", output);
	}
	r = initrd_append_file(out, base, err);
	size = lseek(out, 0, SEEK_CUR);
	/* The kernel expects the next segment at a multiple of four. */
	if (r == 0 && size % 4 && write_full(out, zeros, 4 - (size_t)size % 4) < 0)
		r = error_sys(err, "failed to write %s", output);
	if (r == 0)
		r = initrd_append_file(out, segment, err);
	(void)unlink(segment);
	return r;
}

static int
initrd_append_file(int out, const char *path, struct error *err)
{
	auto_close int in = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	off_t left;

	if (in < 0 || fstat(in, &st) < 0)
		return error_sys(err, "failed to open %s", path);
	for (left = st.st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);

		if (n <= 0)
			return error_sys(err, "failed to copy %s", path);
		left -= n;
	}
	return 0;
}
