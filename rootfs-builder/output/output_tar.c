/* SPDX-License-Identifier: Apache-2.0 */
/* Output: a tar archive in the pax format. */
#include <string.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/tarwrite.h"
#include "rootfs-builder/build.h"

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
	if (tar_write_file(build, to, tar_compression(build->spec), NULL, err) < 0)
		return -1;
	report_step(build->report, "verifying the archive");
	return tar_verify(build, to, err);
}

const struct output_kind output_tar = {
	.name = "tar",
	.help = "a tar archive (pax); compressed by --compress, or by its suffix",
	.write = tar_write_output,
};
