/* SPDX-License-Identifier: Apache-2.0 */
/* Output: a tar archive in the pax format. */
#include <fcntl.h>
#include <string.h>

#include "lib/cleanup.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/tarwrite.h"

static enum pack_format
tar_compression(const struct build_spec *spec)
{
	static const struct {
		const char *suffix;
		enum pack_format format;
	} rows[] = {
		{ ".tar.gz", PACK_GZIP }, { ".tgz", PACK_GZIP },    { ".tar.zst", PACK_ZSTD },
		{ ".tar.xz", PACK_XZ },   { ".tar.lz4", PACK_LZ4 },
	};
	size_t n = strlen(spec->output);

	for (size_t i = 0; !spec->has_compress && i < ARRAY_LEN(rows); i++) {
		size_t len = strlen(rows[i].suffix);

		if (n > len && !strcmp(spec->output + n - len, rows[i].suffix))
			return rows[i].format;
	}
	return spec->has_compress ? spec->compress : PACK_NONE;
}

static int
tar_write_output(struct build *build, const char *to, struct error *err)
{
	auto_close int fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	struct packer *packer;
	struct sha256_ctx hash;
	int r;

	if (fd < 0)
		return error_sys(err, "failed to create the archive");
	packer = packer_new(fd, tar_compression(build->spec), err);
	if (!packer)
		return -1;
	sha256_init(&hash);
	r = tar_write(build, packer, &hash, err);
	if (r == 0)
		r = packer_finish(packer, NULL, NULL, err);
	packer_free(packer);
	if (r < 0)
		return -1;
	report_step(build->report, "verifying the archive");
	return tar_verify(build, to, err);
}

const struct output_kind output_tar = {
	.name = "tar",
	.help = "a tar archive (pax); compressed by --compress, or by its suffix",
	.write = tar_write_output,
};
