/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk images: each form is made by the real programs, with the privileges of the test, and read
 * back by programs of the file system's authors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/filesystem/disk_layout.h"
#include "tests/unit/rootfs-builder/fixture.h"

#define MIB ((uint64_t)1 << 20)
/* More than a compressed block, an extent and the window of a compressor hold. */
#define BIG_SIZE (3 * MIB + 123)
#define MANY     300
/* The target of a symlink that is not one word to most programs. */
#define ODD_TARGET ":odd \"a\\b"

/* u::rw-, u:1000:r--, g::r--, m::r--, o::r-- in the kernel's form (acl(5)). */
static const uint8_t acl[] = { 2, 0,    0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  4,
			       0, 0xe8, 3,   0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
			       4, 0,    255, 255, 255, 255, 32, 0, 4,   0,   255, 255, 255, 255 };
static const uint8_t capability[20] = { 1, 0, 0, 2, 0, 0x20 };

static const char *dir;
static struct error err;
static struct build_spec spec;
static uint8_t *big;
/* Value of an attribute. */
static const char note[300] = "n";
static size_t note_size;
/* Note of the last image: the content of a root_hash_<variant>.txt of Kata. */
static char *kata;

static void
init(void)
{
	dir = scratch_dir(NULL);
	/* Parts that can be compressed well, a little, and not at all. */
	big = malloc(BIG_SIZE);
	REQUIRE(big);
	srandom(1);
	for (size_t i = 0; i < BIG_SIZE; i++)
		big[i] = i < MIB ? 'x' : i < 2 * MIB ? (uint8_t)(i >> 8) : (uint8_t)random();
	for (size_t i = BIG_SIZE - 5000; i < BIG_SIZE; i++)
		big[i] = (uint8_t)(i % 7);
	put_file(path_in(dir, "big"), big, BIG_SIZE, 0600);
	note_size = 1;
	spec = (struct build_spec){
		.arch = "x86_64", .epoch = 1735689600, .filesystem = "ext4", .partitions = "none"
	};
}

static void
fini(void)
{
	free(big);
	free(kata);
	scratch_fini();
}

TestSuite(output_disk, .init = init, .fini = fini, .timeout = 900);

static void
add_text(struct image *image, const char *path, uint32_t perm, const char *text)
{
	REQUIRE_OK(image_add_data(image, path, perm, text, strlen(text), &err), &err);
}

/* Everything that a file system can get wrong; for xfs without names that mkfs.xfs rejects. */
static void
fill(struct image *image)
{
	bool is_xfs = strcmp(spec.filesystem, "xfs") == 0;

	static const char deep[] = "a/b/c/d/e/f/g/h";
	char target[600], path[300];

	add_text(image, "usr/sbin/init", 0755, "init\n");
	REQUIRE_OK(image_add_symlink(image, "sbin", "usr/sbin", &err), &err);
	memset(target, 't', sizeof(target) - 1);
	target[is_xfs ? 300 : sizeof(target) - 1] = '\0';
	REQUIRE_OK(image_add_symlink(image, "long", target, &err), &err);
	/* Sorts before the content of "srv". */
	add_text(image, "srv-two", 0600, "two\n");
	add_text(image, is_xfs ? "srv/a_b" : "srv/a b", 0640, "owned\n");
	REQUIRE_OK(image_set_owner(image, is_xfs ? "srv/a_b" : "srv/a b", 33, 44, &err), &err);
	REQUIRE_OK(image_add_symlink(image, "srv/spaces", "to a b", &err), &err);
	REQUIRE_OK(image_add_symlink(image, "srv/odd", ODD_TARGET, &err), &err);
	REQUIRE_OK(image_add_dir(image, "srv/group", 02775, &err), &err);
	REQUIRE_OK(image_add_dir(image, "srv/group/below", 0755, &err), &err);
	add_text(image, "srv/far", 0644, "");
	REQUIRE_OK(image_set_owner(image, "srv/far", 70000, 100000, &err), &err);
	if (strcmp(spec.filesystem, "squashfs") != 0)
		REQUIRE_OK(image_set_xattr(image, "srv/far", "system.posix_acl_access", acl,
					   sizeof(acl), &err),
			   &err);
	add_text(image, "srv/<5>", 0644, "five\n");
	add_text(image, "srv/\"q", 0644, "quote\n");
	add_text(image, "srv/#!", 0644, "sorts before the dot\n");
	add_text(image, "usr/bin/su", 04755, "su\n");
	add_text(image, "usr/bin/ping", 0755, "ping\n");
	REQUIRE_OK(image_set_xattr(image, "usr/bin/ping", "security.capability", capability,
				   sizeof(capability), &err),
		   &err);
	REQUIRE_OK(image_set_xattr(image, "usr/bin/ping", "user.note", note, note_size, &err),
		   &err);
	REQUIRE_OK(image_add_node(image, "dev/console", S_IFCHR | 0600, 5, 1, &err), &err);
	REQUIRE_OK(image_add_node(image, "dev/vdq1", S_IFBLK | 0660, 254, 257, &err), &err);
	REQUIRE_OK(image_add_node(image, "dev/pipe", S_IFIFO | 0644, 0, 0, &err), &err);
	REQUIRE_OK(image_add_dir(image, "tmp", 01777, &err), &err);
	add_text(image, "twin/a", 0644, "twin\n");
	REQUIRE_OK(image_add_link(image, "twin/b", "twin/a", &err), &err);
	REQUIRE_OK(image_add_link(image, "usr/bin/twin", "twin/a", &err), &err);
	REQUIRE_OK(image_add_dir(image, deep, 0755, &err), &err);
	REQUIRE_OK(image_add_file(image, "big", 0644, path_in(dir, "big"), &err), &err);
	REQUIRE_OK(image_add_data(image, "block", 0644, big + 2 * MIB, 4096, &err), &err);
	REQUIRE_OK(image_add_data(image, "blocks", 0644, big, 8192, &err), &err);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(path, sizeof(path), "many/%0200d", i);
		add_text(image, path, 0644, i % 2 ? "odd" : "");
	}
	image_sort(image);
}

/* Makes an image of `spec` at dir/name; the digest stands for that of the content. */
static int
make(const char *name, const char *digest)
{
	struct build build = { .spec = &spec, .image = IMAGE_INIT };
	const char *to = path_in(dir, name);
	int r;

	fill(&build.image);
	(void)snprintf(build.digest, sizeof(build.digest), "%s", digest);
	build.report = report_new(REPORT_QUIET, "test");
	r = output_disk.check(&spec, &err);
	if (r == 0) {
		build.work = work_open(to, &err);
		REQUIRE(build.work, "%s", err.msg);
		r = output_disk.write(&build, to, &err);
		work_close(build.work);
	}
	report_free(build.report);
	image_release(&build.image);
	free(kata);
	kata = build.note;
	return r;
}

/* Runs a command line in the scratch directory and returns its output. It must succeed. */
static char *
shell(const char *command)
{
	char *argv[] = { "sh", "-c", (char *)command, NULL }, *out;

	REQUIRE_EQ(run_program(dir, NULL, argv, &out), 0, "%s: %s", command, out);
	return out;
}

static void
expect_in(const char *text, const char *want)
{
	CHECK_HAS(text, want, "\"%s\" is not in: %s", want, text);
}

/* The content of dir/tree, a copy of the file system. */
static void
check_tree(void)
{
	uint8_t *bytes;
	size_t n;

	bytes = get_file(path_in(dir, "tree/big"), &n);
	REQUIRE_EQ(n, (size_t)BIG_SIZE);
	CHECK(!memcmp(bytes, big, n));
	bytes = get_file(path_in(dir, "tree/block"), &n);
	CHECK(n == 4096 && !memcmp(bytes, big + 2 * MIB, n));
	bytes = get_file(path_in(dir, "tree/blocks"), &n);
	CHECK(n == 8192 && !memcmp(bytes, big, n));
	CHECK_STR((char *)get_file(path_in(dir, "tree/srv/a b"), &n), "owned\n");
	CHECK_STR((char *)get_file(path_in(dir, "tree/srv/<5>"), &n), "five\n");
	CHECK_STR((char *)get_file(path_in(dir, "tree/srv/\"q"), &n), "quote\n");
	CHECK_STR((char *)get_file(path_in(dir, "tree/srv/#!"), &n), "sorts before the dot\n");
	CHECK_STR((char *)get_file(path_in(dir, "tree/srv-two"), &n), "two\n");
	CHECK_STR((char *)get_file(path_in(dir, "tree/usr/sbin/init"), &n), "init\n");
	CHECK_STR((char *)get_file(path_in(dir, "tree/usr/bin/twin"), &n), "twin\n");
	CHECK_STR(shell("ls tree/many | wc -l"), "300\n");
	CHECK_STR(shell("cat tree/many/* | wc -c"), "450\n");
	CHECK_STR(shell("readlink tree/sbin"), "usr/sbin\n");
	CHECK_STR(shell("readlink tree/long | wc -c"), "600\n");
	CHECK_STR(shell("readlink tree/srv/odd"), ODD_TARGET "\n");
	CHECK_STR(shell("ls -d tree/a/b/c/d/e/f/g/h"), "tree/a/b/c/d/e/f/g/h\n");
}

Test(output_disk, ext4)
{
	char *text;

	REQUIRE_OK(make("disk", "x"), &err);
	expect_in(shell("PATH=$PATH:/usr/sbin e2fsck -fn disk"), "tatami-root: ");
	expect_in(shell("PATH=$PATH:/usr/sbin dumpe2fs -h disk"), "has_journal");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /dev/console' disk");
	expect_in(text, "character special");
	expect_in(text, "Mode:  0600");
	expect_in(text, "number: 05:01");
	expect_in(text, "mtime: 0x67748580:00000000");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /dev/vdq1' disk");
	expect_in(text, "block special");
	expect_in(text, "(hex fe:101)");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat \"/srv/a b\"' disk");
	expect_in(text, "User:    33   Group:    44");
	expect_in(text, "ctime: 0x67748580:00000000");
	expect_in(text, "atime: 0x67748580:00000000");
	expect_in(text, "crtime: 0x67748580:00000000");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /srv/far' disk");
	expect_in(text, "User: 70000   Group: 100000");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /usr/bin/su' disk");
	expect_in(text, "Mode:  04755");
	expect_in(text, "User:     0");
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /usr/bin/ping' disk");
	expect_in(text, "security.capability (20) = 01 00 00 02 00 20 00 00 ");
	expect_in(text, "user.note (1) = \"n\"");
	/* An ACL, as ext4 has it. */
	text = shell("PATH=$PATH:/usr/sbin debugfs -R 'ea_list /srv/far' disk 2>/dev/null");
	expect_in(text, "system.posix_acl_access (28) = 01 00 00 00 01 00 06 00 02 00 04 00 e8 03");
	expect_in(shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /tmp' disk"), "Mode:  01777");
	expect_in(shell("PATH=$PATH:/usr/sbin debugfs -R 'stat /twin/b' disk"), "Links: 3");
	(void)shell("mkdir tree; PATH=$PATH:/usr/sbin; debugfs -R 'rdump / tree' disk 2>/dev/null");
	check_tree();
}

/* The smallest one has a journal, and free space is left. */
Test(output_disk, ext4_size)
{
	struct stat st;
	char *text;

	REQUIRE_OK(make("disk", "x"), &err);
	REQUIRE_EQ(stat(path_in(dir, "disk"), &st), 0);
	CHECK_EQ(st.st_size, (off_t)(12 * MIB));
	spec.free_space = 64 * MIB;
	REQUIRE_OK(make("disk", "x"), &err);
	text = shell("PATH=$PATH:/usr/sbin dumpe2fs -h disk 2>/dev/null | "
		     "sed -n 's/^Free blocks: *//p'");
	CHECK_GE(atoi(text), (int)(64 * MIB / 4096));
	spec.free_space = 0;
	spec.size = 100 * MIB;
	REQUIRE_OK(make("disk", "x"), &err);
	REQUIRE_EQ(stat(path_in(dir, "disk"), &st), 0);
	CHECK_EQ(st.st_size, (off_t)(100 * MIB));
	/* Holes are not written. */
	CHECK_LT(st.st_blocks * 512, (off_t)(16 * MIB));
}

static void
check_erofs(void)
{
	char *text;

	text = shell("dump.erofs --path=/dev/console disk");
	expect_in(text, "char dev");
	expect_in(text, "Access: 0600/");
	expect_in(text, "Timestamp: 2025-01-01 00:00:00.000000000");
	expect_in(shell("dump.erofs --path=/dev/vdq1 disk"), "block dev");
	expect_in(shell("dump.erofs --path=/dev/pipe disk"), "FIFO");
	expect_in(shell("dump.erofs '--path=/srv/a b' disk"), "Uid: 33   Gid: 44  Access: 0640/");
	text = shell("dump.erofs --path=/srv/far disk");
	expect_in(text, "Inode size: 64");
	expect_in(text, "Uid: 70000   Gid: 100000");
	expect_in(text, "Timestamp: 2025-01-01 00:00:00.000000000");
	expect_in(shell("dump.erofs --path=/usr/bin/ping disk"), "Xattr size: 60");
	expect_in(shell("dump.erofs --path=/a disk"), "Links: 3 ");
	expect_in(shell("dump.erofs --path=/usr/bin/twin disk"), "Links: 3 ");
	(void)shell("rm -rf tree; fsck.erofs --extract=tree --no-preserve-owner"
		    " --preserve-perms disk");
	CHECK_STR(shell("stat -c %a tree/usr/bin/su tree/tmp"), "4755\n1777\n");
	check_tree();
}

Test(output_disk, erofs)
{
	struct stat st;
	size_t n;

	spec.filesystem = "erofs";
	REQUIRE_OK(make("disk", "x"), &err);
	check_erofs();
	CHECK(memmem(get_file(path_in(dir, "disk"), &n), 4 * MIB, "capability\1\0\0\2\0\x20", 16));
	/* With DAX no file of more than a block has a part outside of its blocks. */
	CHECK_HAS(shell("dump.erofs --path=/big disk"), "Layout: 2");
	spec.dax = true;
	REQUIRE_OK(make("disk2", "x"), &err);
	(void)shell("dd if=disk2 of=disk bs=1M skip=2 status=none");
	check_erofs();
	CHECK_HAS(shell("dump.erofs --path=/big disk"), "Layout: 0");
	REQUIRE_EQ(stat(path_in(dir, "disk2"), &st), 0);
	CHECK_EQ(st.st_size, (off_t)(128 * MIB));
}

Test(output_disk, erofs_compressed)
{
	struct stat st;

	spec.filesystem = "erofs";
	spec.compress = PACK_LZ4;
	spec.has_compress = true;
	REQUIRE_OK(make("disk", "x"), &err);
	check_erofs();
	expect_in(shell("dump.erofs --path=/big disk"), "Layout: 3 ");
	/* Not worth it. */
	expect_in(shell("dump.erofs --path=/block disk"), "Layout: 0 ");
	REQUIRE_EQ(stat(path_in(dir, "disk"), &st), 0);
	CHECK_LE(st.st_size, (off_t)(2 * MIB));
}

Test(output_disk, squashfs)
{
	static const struct {
		enum pack_format format;
		const char *name;
	} rows[] = {
		{ PACK_ZSTD, "zstd" }, { PACK_GZIP, "gzip" }, { PACK_XZ, "xz" }, { PACK_LZ4, "lz4" }
	};
	char *text;

	spec.filesystem = "squashfs";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spec.compress = rows[i].format;
		spec.has_compress = i > 0;
		REQUIRE_OK(make("disk", "x"), &err);
		text = shell("unsquashfs -stat disk");
		expect_in(text, rows[i].name);
	}
	text = shell("TZ=UTC unsquashfs -lln disk");
	expect_in(text,
		  "-rw-r----- 33/44                     6 2025-01-01 00:00 squashfs-root/srv/a b");
	expect_in(text, "70000/100000 ");
	expect_in(text, "-rwsr-xr-x 0/0 ");
	expect_in(text, "brw-rw---- 0/0 ");
	expect_in(text, "drwxrwxrwt 0/0 ");
	expect_in(text, "drwxr-xr-x 0/0 ");
	/* Attributes cannot be extracted without privilege, but are in the file system. */
	expect_in(shell("unsquashfs -stat disk"), "Xattrs are compressed");
	(void)shell("unsquashfs -no-progress -no-xattrs -no-exit-code -dest tree disk 2>&1");
	check_tree();
	CHECK_STR(shell("stat -c %h tree/twin/a"), "3\n");
}

/* xfs_db reads what xfs_repair has checked. */
Test(output_disk, xfs)
{
	struct stat st;
	char *text;

	spec.filesystem = "xfs";
	REQUIRE_OK(make("disk", "x"), &err);
	REQUIRE_EQ(stat(path_in(dir, "disk"), &st), 0);
	CHECK_EQ(st.st_size, (off_t)(300 * MIB));
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /srv/a_b' -c print disk");
	expect_in(text, "core.mode = 0100640");
	expect_in(text, "core.uid = 33");
	expect_in(text, "core.gid = 44");
	expect_in(text, "core.size = 6");
	text = shell("TZ=UTC PATH=$PATH:/usr/sbin xfs_db -r -c 'path /dev/vdq1' -c print disk");
	expect_in(text, "core.mode = 060660");
	expect_in(text, "core.mtime.sec = Wed Jan  1 00:00:00 2025");
	expect_in(text, "v3.crtime.sec = Wed Jan  1 00:00:00 2025");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /usr/bin/su' -c print disk");
	expect_in(text, "core.mode = 0104755");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /tmp' -c print disk");
	expect_in(text, "core.mode = 041777");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /srv/spaces' -c print disk");
	expect_in(text, "to a b");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /srv/odd' -c print disk");
	expect_in(text, "u3.symlink = \":odd \\\"a\\\\b\"");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /srv/group' -c print disk");
	expect_in(text, "core.mode = 042775");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /srv/group/below' -c print disk");
	expect_in(text, "core.mode = 040755");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /usr/bin/ping' -c print disk");
	expect_in(text, "a.sfattr.hdr.count = 2");
	expect_in(text, "a.sfattr.list[0].secure = 1");
	expect_in(text, "name = \"capability\"");
	expect_in(text, "value = \"\\001\\000\\000\\002\\000 ");
	expect_in(text, "name = \"note\"");
	text = shell("PATH=$PATH:/usr/sbin xfs_db -r -c 'path /srv/far' -c print disk");
	expect_in(text, "a.sfattr.list[0].root = 1");
	expect_in(text, "name = \"SGI_ACL_FILE\"");
	/* The number of entries, and those of the owner and of the user 1000. */
	expect_in(text, "value = \"\\000\\000\\000\\005"
			"\\000\\000\\000\\001\\377\\377\\377\\377\\000\\006\\000\\000"
			"\\000\\000\\000\\002\\000\\000\\003\\350\\000\\004\\000\\000");
	spec.size = 200 * MIB;
	CHECK_EQ(make("disk", "x"), -1);
	expect_error(&err, ERROR_RESOURCE_EXHAUSTED, "xfs needs 300 MiB");
	spec.size = 0;
	note_size = 300;
	CHECK_EQ(make("disk", "x"), -1);
	expect_error(&err, ERROR_INVALID_ARGUMENT,
		     "failed to add attributes of /usr/bin/ping to xfs: ");
}

/* Partitions hold what their table says, which sfdisk reads. */
Test(output_disk, gpt_and_verity)
{
	struct build build = { .digest = "x" };
	char salt[65], *text, c;
	uint8_t bytes[32];
	unsigned blocks;

	spec.filesystem = "erofs";
	spec.partitions = "gpt";
	spec.verity = true;
	REQUIRE_OK(make("disk", "x"), &err);
	build_seed(&build, "verity-salt", bytes, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)snprintf(salt + 2 * i, 3, "%02x", bytes[i]);
	put_text(path_in(dir, "salt"), salt);
	CHECK_EQ(sscanf(kata, "root_hash=%*64[0-9a-f],salt=%*64[0-9a-f],data_blocks=%u,%c", &blocks,
			&c),
		 2, "%s", kata);
	CHECK_HAS(kata, ",data_block_size=4096,hash_block_size=4096\n");
	CHECK_HAS(kata, salt);
	text = shell("PATH=$PATH:/usr/sbin sfdisk -d disk");
	expect_in(text, "label: gpt");
	expect_in(text, "type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709");
	expect_in(text, "type=2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5");
	expect_in(text, "name=\"root-verity\"");
	expect_in(text, "attrs=\"GUID:60\"");
	expect_in(shell("PATH=$PATH:/usr/sbin sfdisk --verify disk 2>&1"), "No errors detected");
	/* The hash tree is intact, and its root hash is in the ids of the partitions. */
	text = shell("set -e; PATH=$PATH:/usr/sbin; sfdisk -J disk >table;"
		     "for i in 0 1; do eval \"$(jq -r \".partitiontable.partitions[$i] |"
		     " \\\"start=\\(.start) size=\\(.size)\\\"\" table)\";"
		     " dd if=disk of=part$i bs=512 skip=$start count=$size status=none; done;"
		     "hash=$(jq -r '.partitiontable.partitions[].uuid' table | tr -d '\\n-' |"
		     " tr A-F a-f);"
		     "veritysetup verify --no-superblock --salt=$(cat salt) part0 part1"
		     " $hash && echo intact; printf y | dd of=part0 bs=1 seek=5000 conv=notrunc"
		     " status=none; veritysetup verify --no-superblock --salt=$(cat salt) part0"
		     " part1 $hash 2>&1 || echo damaged");
	expect_in(text, "intact");
	expect_in(text, "damaged");
}

/* The same image for another directory, umask and time zone; a different one for other content. */
Test(output_disk, reproducible)
{
	static const struct {
		const char *filesystem, *partitions;
		enum pack_format compress;
		bool verity, dax;
	} rows[] = {
		{ "ext4", "mbr", PACK_NONE, false, false },
		{ "ext4", "mbr", PACK_NONE, true, true },
		{ "ext4", "gpt", PACK_NONE, false, false },
		{ "erofs", "gpt", PACK_NONE, true, false },
		{ "erofs", "none", PACK_LZ4, false, false },
		{ "squashfs", "mbr", PACK_ZSTD, true, false },
		{ "xfs", "mbr", PACK_NONE, false, false },
	};
	const char *first = dir;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *other;
		char *one, *two;
		mode_t mask;

		spec.filesystem = rows[i].filesystem;
		spec.partitions = rows[i].partitions;
		spec.compress = rows[i].compress;
		spec.has_compress = true;
		spec.verity = rows[i].verity;
		spec.dax = rows[i].dax;
		spec.align = 2 * MIB;
		REQUIRE_OK(make("one", "x"), &err);
		one = shell("sha256sum <one");
		if (i == 0) {
			other = scratch_dir(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL);
			put_file(path_in(other, "big"), big, BIG_SIZE, 0644);
		} else {
			other = dir == first ? first : dir;
		}
		dir = other;
		mask = umask(077);
		(void)setenv("TZ", "Asia/Tokyo", 1);
		REQUIRE_OK(make("two", "x"), &err);
		(void)umask(mask);
		(void)unsetenv("TZ");
		two = shell("sha256sum <two");
		CHECK_STR(one, two, "row %zu: %s%s", i, one, two);
		if (i == 0)
			REQUIRE_OK(make("two", "y"), &err);
		CHECK(i || strcmp(one, shell("sha256sum <two")) != 0, "row %zu", i);
		dir = first;
	}
}

/* Options that exclude each other, and limits. */
Test(output_disk, refused)
{
	static const struct {
		struct build_spec spec;
		enum error_code code;
		const char *text;
	} rows[] = {
		{ { .filesystem = "ntfs", .partitions = "mbr" },
		  ERROR_INVALID_ARGUMENT,
		  "invalid file system ntfs: expected ext4" },
		{ { .filesystem = "ext4", .partitions = "apm" },
		  ERROR_INVALID_ARGUMENT,
		  "invalid partition table apm" },
		{ { .filesystem = "ext4", .partitions = "none", .verity = true },
		  ERROR_INVALID_ARGUMENT,
		  "--verity needs a partition table" },
		{ { .filesystem = "ext4",
		    .partitions = "mbr",
		    .compress = PACK_LZ4,
		    .has_compress = true },
		  ERROR_INVALID_ARGUMENT,
		  "no ext4 with this --compress" },
		{ { .filesystem = "erofs",
		    .partitions = "mbr",
		    .compress = PACK_ZSTD,
		    .has_compress = true },
		  ERROR_INVALID_ARGUMENT,
		  "no erofs with this --compress" },
		{ { .filesystem = "erofs",
		    .partitions = "mbr",
		    .compress = PACK_LZ4,
		    .has_compress = true,
		    .dax = true },
		  ERROR_INVALID_ARGUMENT,
		  "--dax and --compress exclude each other" },
		{ { .filesystem = "squashfs", .partitions = "mbr", .dax = true },
		  ERROR_INVALID_ARGUMENT,
		  "--dax is not valid for squashfs" },
		{ { .filesystem = "erofs", .partitions = "mbr", .free_space = 1 },
		  ERROR_INVALID_ARGUMENT,
		  "--free is not valid for erofs" },
		{ { .filesystem = "ext4", .partitions = "mbr", .free_space = 1, .size = 4096 },
		  ERROR_INVALID_ARGUMENT,
		  "--free and --size exclude each other" },
		{ { .filesystem = "ext4", .partitions = "mbr", .align = 4096 * 3 },
		  ERROR_INVALID_ARGUMENT,
		  "invalid --size or --align" },
		{ { .filesystem = "ext4", .partitions = "mbr", .size = 4 * MIB },
		  ERROR_RESOURCE_EXHAUSTED,
		  "needs 12 MiB" },
		{ { .filesystem = "erofs", .partitions = "mbr", .size = 2 * MIB },
		  ERROR_RESOURCE_EXHAUSTED,
		  "more than the 2097152 of --size" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spec = rows[i].spec;
		spec.arch = "x86_64";
		CHECK_EQ(make("disk", "x"), -1, "row %zu", i);
		expect_error(&err, rows[i].code, rows[i].text);
	}
}

/* A file system that is too small for its content. */
Test(output_disk, ext4_full)
{
	auto_free uint8_t *more = calloc(1, 24 * MIB);

	REQUIRE(more);
	memset(more, 1, 24 * MIB);
	put_file(path_in(dir, "big"), more, 24 * MIB, 0644);
	spec.size = 16 * MIB;
	CHECK_EQ(make("disk", "x"), -1);
	expect_error(&err, ERROR_RESOURCE_EXHAUSTED, "Could not allocate block");
}

/* A program that is not installed, and one that fails. */
Test(output_disk, tools)
{
	static const char fails[] = "#!/bin/sh\necho 'no luck' >&2\nexit 3\n";
	auto_free char *path = strdup(getenv("PATH"));

	REQUIRE(path);
	put_file(path_in(dir, "bin/mke2fs"), fails, strlen(fails), 0755);
	put_file(path_in(dir, "bin/fsck.erofs"), fails, strlen(fails), 0755);
	(void)setenv("PATH", path_in(dir, "bin"), 1);
	CHECK_EQ(make("disk", "x"), -1);
	expect_error(&err, ERROR_FAILED_PRECONDITION, "no luck");
	spec.filesystem = "erofs";
	CHECK_EQ(make("disk", "x"), -1);
	expect_error(&err, ERROR_FAILED_PRECONDITION, "no luck");
	(void)setenv("PATH", path, 1);
}
