/* SPDX-License-Identifier: Apache-2.0 */
/* Grows a mounted ext4: EXT4_IOC_RESIZE_FS. The size is in the superblock (Linux:
 * fs/ext4/ext4.h). */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/grow.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define EXT4_MAGIC     0xEF53
#define IOC_RESIZE_FS  _IOW('f', 16, uint64_t)
#define SUPER_OFFSET   1024
#define SUPER_SIZE     1024
#define BLOCKS_LO      0x04
#define LOG_BLOCK_SIZE 0x18
#define MAGIC          0x38
#define INCOMPAT       0x60
#define BLOCKS_HI      0x150
#define INCOMPAT_64BIT 0x80u
/* 64 KiB */
#define LOG_BLOCK_MAX 6

static uint32_t
le32_at(const unsigned char *super, size_t offset)
{
	uint32_t v;

	memcpy(&v, super + offset, sizeof(v));
	return le32toh(v);
}

/* Reads the superblock through the page cache of the device, which the mounted file system uses,
 * too. */
static int
look_ext4(struct grow *g, struct error *err)
{
	unsigned char super[SUPER_SIZE];
	uint64_t blocks;
	struct stat st;
	auto_close int fd = -1;

	if (fstat(g->fd, &st) < 0)
		return error_sys(err, "failed to read the size of the file system");
	g->device = st.st_dev;
	fd = grow_open_device(g->roots, g->device, err);
	if (fd < 0)
		return -1;
	if (RETRY_EINTR(pread(fd, super, sizeof(super), SUPER_OFFSET)) != sizeof(super))
		return error_sys(err, "failed to read the superblock");
	if ((le32_at(super, MAGIC) & 0xffff) != EXT4_MAGIC ||
	    le32_at(super, LOG_BLOCK_SIZE) > LOG_BLOCK_MAX)
		return error_set(err, ERROR_INTERNAL, "invalid ext4 superblock");
	blocks = le32_at(super, BLOCKS_LO);
	if (le32_at(super, INCOMPAT) & INCOMPAT_64BIT)
		blocks |= (uint64_t)le32_at(super, BLOCKS_HI) << 32;
	g->block = 1024ull << le32_at(super, LOG_BLOCK_SIZE);
	g->size = blocks * g->block;
	return 0;
}

static int
grow_ext4_to(const struct grow *g, uint64_t to, struct error *err)
{
	uint64_t blocks = to / g->block;

	if (ioctl(g->fd, IOC_RESIZE_FS, &blocks) < 0)
		return error_sys(err, "failed to grow ext4");
	return 0;
}

const struct grow_fs grow_ext4 = {
	.name = "ext4",
	.magic = EXT4_MAGIC,
	.look = look_ext4,
	.grow = grow_ext4_to,
};
