/* SPDX-License-Identifier: Apache-2.0 */
/* Mounting of a container's file systems. Runs in the new process, with all privileges;
 * destinations are only used through descriptors. */
#include "agent/container/rootfs/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/rootfs/copyup.h"
#include "agent/container/rootfs/mount_attr.h"
#include "agent/container/rootfs/mount_long.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"

#ifndef PROC_ROOT_INO
/* The inode number of a procfs's root (include/linux/proc_fs.h). */
#define PROC_ROOT_INO 1
#endif

static int mounts_open_destination(int root_fd, const struct container_mount *m, struct error *err);
static int mounts_guard_places(int root_fd, int dest_fd, const struct container_mount *m,
			       struct error *err);
static int mounts_guard_proc(int root_fd, int dest_fd, const struct container_mount *m,
			     struct error *err);
static int mounts_prepare(struct container_mount *m, bool *pending_ro, struct error *err);
static int mounts_put_in_place(const struct container_mount *m, int tree, int at,
			       struct error *err);
static int mounts_fs_error(int fs, const char *type, const char *doing, const char *word,
			   struct error *err);
static int mounts_pass_word(int fs, const char *type, const char *word, struct error *err);
static int mounts_configure(int fs, const char *type, const char *word, struct error *err);

int
mount_make(int root_fd, struct container_mount *m, bool *pending_ro, struct error *err)
{
	auto_close int at = mounts_open_destination(root_fd, m, err);
	auto_close int tree = at < 0 ? -1 : mounts_prepare(m, pending_ro, err);

	if (tree < 0 || mounts_put_in_place(m, tree, at, err) < 0)
		return error_wrap(err, "failed to mount %s", m->spec->destination);
	return steal_fd(&tree);
}

/* Returns whether `type` is a pseudo file system. Its mount point must be a real directory, not
 * a link in the image; its superblock is shared, so only the mount can be read-only. */
static bool
mounts_is_pseudo(const char *type)
{
	static const char *const types[] = { "proc", "sysfs", "cgroup2", "devpts", "mqueue" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i], type) == 0)
			return true;
	}
	return false;
}

/* Opens a destination that must be a real directory, without links on the path. Makes it if it
 * is missing. */
static int
mounts_open_real_directory(int root_fd, const char *path, struct error *err)
{
	int fd = path_try_open(root_fd, path, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);

	if (fd < 0 && errno == ENOENT) {
		auto_close int made =
			path_mkdir_all(root_fd, path, 0755, (uid_t)-1, (gid_t)-1, err);

		if (made < 0)
			return -1;
		fd = path_try_open(root_fd, path, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	}
	if (fd < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "mounts: %s is not a real directory", path);
	return fd;
}

/* Opens the destination; makes it if it is missing. */
static int
mounts_open_destination(int root_fd, const struct container_mount *m, struct error *err)
{
	const char *dest = m->spec->destination;
	auto_close int at = -1;

	if (m->kind == MOUNT_CGROUP || mounts_is_pseudo(m->spec->type))
		at = mounts_open_real_directory(root_fd, dest, err);
	else
		at = path_make_target(root_fd, dest, m->kind == MOUNT_FS || m->directory, 0755,
				      err);
	if (at < 0 || mounts_guard_places(root_fd, at, m, err) < 0 ||
	    mounts_guard_proc(root_fd, at, m, err) < 0)
		return -1;
	return steal_fd(&at);
}

static bool
mounts_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Stats the container's /proc, following links below the root. Returns 0, or -1 and errno. */
static int
mounts_stat_proc(int root_fd, struct stat *st)
{
	auto_close int fd = -1;

	/* It is rarely a link. */
	if (fstatat(root_fd, "proc", st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!S_ISLNK(st->st_mode))
		return 0;
	fd = path_try_open(root_fd, "proc", O_PATH, 0, PATH_FOLLOW_ALL);
	return fd < 0 ? -1 : fstat(fd, st);
}

static bool
mounts_is_procfs(const struct container_mount *m)
{
	return m->kind == MOUNT_BIND ? fd_is_fstype(m->tree, PROC_SUPER_MAGIC)
				     : m->kind == MOUNT_FS && strcmp(m->spec->type, "proc") == 0;
}

/* Refuses mounts over the root, and over /proc unless it is a procfs, independent of the path
 * used. */
static int
mounts_guard_places(int root_fd, int dest_fd, const struct container_mount *m, struct error *err)
{
	const char *dest = m->spec->destination;
	struct stat root, at, proc;

	if (fstat(root_fd, &root) < 0 || fstat(dest_fd, &at) < 0)
		return error_sys(err, "failed to stat %s", dest);
	if (mounts_is_same(&root, &at))
		return error_set(err, ERROR_INVALID_ARGUMENT, "mounts: %s is the root directory",
				 dest);
	if (mounts_is_procfs(m) || mounts_stat_proc(root_fd, &proc) < 0 ||
	    !mounts_is_same(&proc, &at))
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "mounts: %s: only a procfs may be mounted at /proc", dest);
}

/* Returns whether `dest` is one of the files of /proc that a mount may cover. lxcfs uses them. */
static bool
mounts_is_free_proc_file(int root_fd, const struct stat *dest)
{
	static const char *const names[] = {
		"proc/cpuinfo", "proc/diskstats", "proc/loadavg", "proc/meminfo",
		"proc/net/dev", "proc/stat",      "proc/swaps",   "proc/uptime",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		auto_close int fd = path_try_open(root_fd, names[i], O_PATH, 0, PATH_FOLLOW_ALL);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == dest->st_dev &&
		    st.st_ino == dest->st_ino)
			return true;
	}
	return false;
}

/* Refuses mounts inside a procfs, independent of the path that leads there. */
static int
mounts_guard_proc(int root_fd, int dest_fd, const struct container_mount *m, struct error *err)
{
	const char *dest = m->spec->destination;
	struct stat st;

	if (!fd_is_fstype(dest_fd, PROC_SUPER_MAGIC))
		return 0;
	if (fstat(dest_fd, &st) < 0)
		return error_sys(err, "failed to stat %s", dest);
	if (st.st_ino == PROC_ROOT_INO) {
		if (mounts_is_procfs(m))
			return 0;
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "mounts: %s: only a procfs may be mounted over a procfs", dest);
	}
	if (mounts_is_free_proc_file(root_fd, &st))
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT, "mounts: %s is inside a procfs", dest);
}

/* Makes the detached mount with its attributes. */
static int
mounts_prepare(struct container_mount *m, bool *pending_ro, struct error *err)
{
	uint64_t attrs = m->own.set;
	int tree;

	*pending_ro = false;
	if (m->kind != MOUNT_BIND) {
		const char *type = m->kind == MOUNT_CGROUP ? "cgroup2" : m->spec->type;

		if ((attrs & MOUNT_ATTR_RDONLY) &&
		    (strcmp(type, "tmpfs") == 0 || mount_path_is(m->spec->destination, "/dev"))) {
			attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
			*pending_ro = true;
		}
		if (m->kind == MOUNT_FS && mount_is_long(m->spec))
			return mount_long_fs(m->spec, m->label, attrs, m->aside, err);
		return mount_new_fs(type, m->kind == MOUNT_CGROUP ? NULL : m->spec, m->label, attrs,
				    err);
	}
	tree = steal_fd(&m->tree);
	if (mount_set(tree, attrs, m->own.clear, 0, false, err) < 0) {
		close_fd(&tree);
		return -1;
	}
	return tree;
}

/* Returns whether the options set mode or owner of the topmost directory. */
static bool
mounts_names_owner(const Grpc__Mount *spec)
{
	static const char *const keys[] = { "mode=", "uid=", "gid=" };

	for (size_t i = 0; i < spec->n_options; i++) {
		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			if (strncmp(spec->options[i], keys[k], strlen(keys[k])) == 0)
				return true;
		}
	}
	return false;
}

/* Fills the detached mount, then attaches it. */
static int
mounts_put_in_place(const struct container_mount *m, int tree, int at, struct error *err)
{
	if (m->copy_up && copyup_tree(at, tree, !mounts_names_owner(m->spec), err) < 0)
		return error_wrap(err, "tmpcopyup");
	if (mount_set(tree, m->below.set, m->below.clear, 0, true, err) < 0 ||
	    mount_attach(tree, at, m->spec->destination, err) < 0)
		return -1;
	for (unsigned int i = 0; i < m->n_propagation; i++) {
		unsigned long p = m->propagation[i];

		if (mount_set(tree, 0, 0, p & ~(unsigned long)MS_REC, p & MS_REC, err) < 0)
			return -1;
	}
	return 0;
}

int
mount_attach(int tree, int dest_fd, const char *name, struct error *err)
{
	if (sys_move_mount(tree, "", dest_fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_sys(err, "failed to attach the mount at %s", name);
	return 0;
}

int
mount_new_fs(const char *type, const Grpc__Mount *spec, const char *label, uint64_t attrs,
	     struct error *err)
{
	auto_close int fs = sys_fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return error_sys_code(err,
				      errno == ENODEV ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				      "failed to open file system type %s", type);
	return mount_context(fs, type, spec, label, attrs, err);
}

int
mount_context(int fs, const char *type, const Grpc__Mount *spec, const char *label, uint64_t attrs,
	      struct error *err)
{
	const char *source = spec && *spec->source ? spec->source : type;
	int fd;

	if (sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, "source", source, 0) < 0)
		return mounts_fs_error(fs, type, "source", source, err);
	for (size_t i = 0; spec && i < spec->n_options; i++) {
		if (mounts_pass_word(fs, type, spec->options[i], err) < 0)
			return -1;
	}
	if (label && sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, "context", label, 0) < 0)
		return mounts_fs_error(fs, type, "linux.mountLabel", label, err);
	if ((attrs & MOUNT_ATTR_RDONLY) && !mounts_is_pseudo(type) && strcmp(type, "tmpfs") != 0 &&
	    sys_fsconfig(fs, SYS_FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
		return mounts_fs_error(fs, type, "option", "ro", err);
	if (sys_fsconfig(fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mounts_fs_error(fs, type, "source", source, err);
	fd = sys_fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	if (fd < 0)
		return mounts_fs_error(fs, type, "mount of", source, err);
	return fd;
}

/* Reports the last failure of a file system context (fsopen(2)), with the kernel's message "e
 * TEXT" if there is one. */
static int
mounts_fs_error(int fs, const char *type, const char *doing, const char *word, struct error *err)
{
	int saved = errno;
	char text[160];
	ssize_t n = RETRY_EINTR(read(fs, text, sizeof(text) - 1));

	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	errno = saved;
	if (n > 2)
		return error_sys_code(err,
				      saved == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				      "%s %.128s for %s (%s)", doing, word, type, text + 2);
	return error_sys_code(err, saved == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
			      "%s %.128s for %s", doing, word, type);
}

/* Passes an option to the file system if it is meant for it. */
static int
mounts_pass_word(int fs, const char *type, const char *word, struct error *err)
{
	struct container_mount scratch = { 0 };
	struct error ignored = ERROR_INIT;

	switch (mount_word_add(&scratch, word)) {
	case MOUNT_WORD_DATA:
	case MOUNT_WORD_SUPER:
		return mounts_configure(fs, type, word, err);
	case MOUNT_WORD_MAYBE:
		/* Errors are ignored, because mount(2) ignores such a flag if the file system
		 * does not support it. */
		(void)mounts_configure(fs, type, word, &ignored);
		return 0;
	default:
		return 0;
	}
}

/* Passes one option, "key=value" or "key", to the file system. */
static int
mounts_configure(int fs, const char *type, const char *word, struct error *err)
{
	const char *equals = strchr(word, '=');
	char key[64];
	int r;

	if (!equals) {
		r = sys_fsconfig(fs, SYS_FSCONFIG_SET_FLAG, word, NULL, 0);
	} else {
		if ((size_t)(equals - word) >= sizeof(key))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "mount option %.64s...: name is too long", word);
		memcpy(key, word, (size_t)(equals - word));
		key[equals - word] = '\0';
		r = sys_fsconfig(fs, SYS_FSCONFIG_SET_STRING, key, equals + 1, 0);
	}
	return r < 0 ? mounts_fs_error(fs, type, "option", word, err) : 0;
}
