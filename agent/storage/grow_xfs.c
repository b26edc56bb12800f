/* SPDX-License-Identifier: Apache-2.0 */
/* Grows a mounted xfs: XFS_IOC_FSGROWFSDATA (Linux: fs/xfs/libxfs/xfs_fs.h,
 * ioctl_xfs_fsgrowfs(2)). */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "agent/storage/grow.h"

#define XFS_MAGIC 0x58465342

/* Version 1 of the geometry; later versions only append fields. */
struct xfs_geometry {
	uint32_t blocksize, rtextsize, agblocks, agcount, logblocks, sectsize, inodesize, imaxpct;
	uint64_t datablocks, rtblocks, rtextents, logstart;
	unsigned char uuid[16];
	uint32_t sunit, swidth;
	int32_t version;
	uint32_t flags, logsectsize, rtsectsize, dirblocksize;
};

struct xfs_growth {
	uint64_t newblocks;
	uint32_t imaxpct;
};

#define IOC_GEOMETRY _IOR('X', 100, struct xfs_geometry)
#define IOC_GROW     _IOW('X', 110, struct xfs_growth)

static int
look_xfs(struct grow *g, struct error *err)
{
	struct xfs_geometry geometry = { 0 };
	struct stat st;

	if (fstat(g->fd, &st) < 0)
		return error_sys(err, "failed to stat the file system");
	if (ioctl(g->fd, IOC_GEOMETRY, &geometry) < 0)
		return error_sys(err, "failed to read the xfs geometry");
	if (geometry.blocksize == 0)
		return error_set(err, ERROR_INTERNAL, "invalid xfs geometry: block size 0");
	g->device = st.st_dev;
	g->block = geometry.blocksize;
	g->size = geometry.datablocks * geometry.blocksize;
	g->id = geometry.imaxpct;
	return 0;
}

static int
grow_xfs_to(const struct grow *g, uint64_t to, struct error *err)
{
	struct xfs_growth growth = { .newblocks = to / g->block, .imaxpct = g->id };

	if (ioctl(g->fd, IOC_GROW, &growth) < 0)
		return error_sys(err, "failed to grow xfs");
	return 0;
}

const struct grow_fs grow_xfs = {
	.name = "xfs",
	.magic = XFS_MAGIC,
	.look = look_xfs,
	.grow = grow_xfs_to,
};
