/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output: a directory. An ordinary user's files belong to that user, and device nodes are left out;
 * both are listed in a warning.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/image/content.h"

/* The directory that is being made. */
struct dir {
	struct build *build;
	int fd;
	/* Owners are set, device nodes made. */
	bool is_root;
	size_t skipped_nodes, skipped_owners, skipped_xattrs;
	/* The first of each, for the warning. */
	const char *first_node, *first_owner, *first_xattr;
	/* The first entry of each group of hard links. */
	const struct image_entry **links;
};

static int dir_put_entry(struct dir *dir, const struct image_entry *entry, struct error *err);
static int dir_put_file(struct dir *dir, const struct image_entry *entry, struct error *err);
static int dir_set_xattrs(struct dir *dir, const struct image_entry *entry, struct error *err);
static int dir_set_attributes(struct dir *dir, const struct image_entry *entry, struct error *err);

static int
dir_write(struct build *build, const char *to, struct error *err)
{
	struct dir dir = { .build = build, .fd = -1, .is_root = geteuid() == 0 };
	int r = 0;

	if (mkdir(to, 0755) < 0 || chmod(to, 0755) < 0)
		return error_sys(err, "failed to create the directory");
	dir.fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir.fd < 0)
		return error_sys(err, "failed to open the directory");
	dir.links = calloc((size_t)build->image.n_link_groups + 1, sizeof(*dir.links));
	if (!dir.links) {
		(void)close(dir.fd);
		error_nomem(err, "creating a directory");
		return -1;
	}
	for (size_t i = 0; r == 0 && i < build->image.n; i++) {
		r = dir_put_entry(&dir, build->image.entries[i], err);
		report_progress(build->report, i, build->image.n);
	}
	/* A directory gets its mode and time after its content. */
	for (size_t i = build->image.n; r == 0 && i--;)
		r = dir_set_attributes(&dir, build->image.entries[i], err);
	if (r == 0 &&
	    futimens(dir.fd, (struct timespec[2]){ { .tv_sec = build->spec->epoch },
						   { .tv_sec = build->spec->epoch } }) < 0)
		r = error_sys(err, "failed to set the time of the directory");
	(void)close(dir.fd);
	if (r == 0 && dir.skipped_nodes)
		report_warn(build->report,
			    "device nodes need root and were left out: /%s and %zu more",
			    dir.first_node, dir.skipped_nodes - 1);
	if (r == 0 && dir.skipped_owners)
		report_warn(build->report, "owners need root and were not set: /%s and %zu more",
			    dir.first_owner, dir.skipped_owners - 1);
	if (r == 0 && dir.skipped_xattrs)
		report_warn(build->report,
			    "extended attributes were not set, of /%s for example (%zu in all)",
			    dir.first_xattr, dir.skipped_xattrs);
	free(dir.links);
	return r;
}

static int
dir_put_entry(struct dir *dir, const struct image_entry *entry, struct error *err)
{
	mode_t mode = entry->mode;
	int r = 0;

	if (work_check(err) < 0)
		return -1;
	if (entry->link_group && dir->links[entry->link_group]) {
		if (linkat(dir->fd, dir->links[entry->link_group]->path, dir->fd, entry->path, 0) <
		    0)
			return error_sys(err, "failed to link /%s", entry->path);
		return 0;
	}
	dir->links[entry->link_group] = entry;
	if (S_ISREG(mode))
		return dir_put_file(dir, entry, err);
	if (S_ISDIR(mode))
		r = mkdirat(dir->fd, entry->path, 0700);
	else if (S_ISLNK(mode))
		r = symlinkat((const char *)entry->data, dir->fd, entry->path);
	else if (dir->is_root || S_ISFIFO(mode) || S_ISSOCK(mode))
		r = mknodat(dir->fd, entry->path, mode & S_IFMT,
			    makedev(entry->dev_major, entry->dev_minor));
	if (r < 0 && dir->is_root && errno == EPERM && (S_ISCHR(mode) || S_ISBLK(mode)))
		r = 0;
	return r < 0 ? error_sys(err, "failed to create /%s", entry->path) : 0;
}

static int
dir_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	const int *fd = data;

	if (write_full(*fd, bytes, n) < 0)
		return error_sys(err, "failed to write");
	return work_check(err);
}

static int
dir_put_file(struct dir *dir, const struct image_entry *entry, struct error *err)
{
	auto_close int fd = openat(dir->fd, entry->path,
				   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_sys(err, "failed to create /%s", entry->path);
	if (content_read(entry, dir_take, &fd, err) < 0)
		return error_wrap(err, "failed to write /%s", entry->path);
	return 0;
}

static int
dir_set_xattrs(struct dir *dir, const struct image_entry *entry, struct error *err)
{
	auto_close int fd = -1;

	if (S_ISREG(entry->mode) || S_ISDIR(entry->mode))
		fd = openat(dir->fd, entry->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (S_ISREG(entry->mode) || S_ISDIR(entry->mode)))
		return error_sys(err, "failed to open /%s", entry->path);
	for (const struct image_xattr *x = entry->xattrs; x; x = x->next) {
		if (fd >= 0 && fsetxattr(fd, x->name, x->value, x->n, 0) == 0)
			continue;
		if (fd >= 0 && errno != EPERM && errno != ENOTSUP && errno != EOPNOTSUPP)
			return error_sys(err, "failed to set %s of /%s", x->name, entry->path);
		dir->first_xattr = dir->skipped_xattrs++ ? dir->first_xattr : entry->path;
	}
	return 0;
}

static int
dir_set_attributes(struct dir *dir, const struct image_entry *entry, struct error *err)
{
	const struct timespec times[2] = { { .tv_sec = dir->build->spec->epoch },
					   { .tv_sec = dir->build->spec->epoch } };
	struct stat st;

	if (fstatat(dir->fd, entry->path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT || (!S_ISCHR(entry->mode) && !S_ISBLK(entry->mode)))
			return error_sys(err, "failed to stat /%s", entry->path);
		dir->first_node = dir->skipped_nodes++ ? dir->first_node : entry->path;
		return 0;
	}
	if (st.st_uid != entry->uid || st.st_gid != entry->gid) {
		if (!dir->is_root) {
			if (entry->uid || entry->gid)
				dir->first_owner =
					dir->skipped_owners++ ? dir->first_owner : entry->path;
		} else if (fchownat(dir->fd, entry->path, entry->uid, entry->gid,
				    AT_SYMLINK_NOFOLLOW) < 0) {
			return error_sys(err, "failed to set the owner of /%s", entry->path);
		}
	}
	/* After the owner, because a change of that removes capabilities and clears set-id bits. */
	if (entry->xattrs && dir_set_xattrs(dir, entry, err) < 0)
		return -1;
	if (!S_ISLNK(entry->mode) && fchmodat(dir->fd, entry->path, entry->mode & 07777, 0) < 0)
		return error_sys(err, "failed to set the mode of /%s", entry->path);
	if (utimensat(dir->fd, entry->path, times, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "failed to set the time of /%s", entry->path);
	return 0;
}

const struct output_kind output_dir = {
	.name = "dir",
	.help = "a directory, which must not exist; without root it has no device nodes and owners",
	.is_directory = true,
	.write = dir_write,
};
