/* SPDX-License-Identifier: Apache-2.0 */
/* System calls and constants that musl 1.2.6 or glibc 2.36 lacks. Each behaves as documented in its
 * man page: -1 and errno on failure. */
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/openat2.h>
/* struct clone_args, CLONE_* */
#include <linux/sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif
#ifndef MOVE_MOUNT_T_EMPTY_PATH
#define MOVE_MOUNT_T_EMPTY_PATH 0x00000040
#endif
#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 1
#endif
#ifndef FSMOUNT_CLOEXEC
#define FSMOUNT_CLOEXEC 1
#endif
enum {
	SYS_FSCONFIG_SET_FLAG = 0,
	SYS_FSCONFIG_SET_STRING = 1,
	SYS_FSCONFIG_CMD_CREATE = 6,
	SYS_FSCONFIG_CMD_RECONFIGURE = 7,
};
enum {
	SYS_FSPICK_CLOEXEC = 1,
	SYS_FSPICK_EMPTY_PATH = 8,
};
enum {
	SYS_RENAME_EXCHANGE = 2,
};
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY      0x00000001
#define MOUNT_ATTR_NOSUID      0x00000002
#define MOUNT_ATTR_NODEV       0x00000004
#define MOUNT_ATTR_NOEXEC      0x00000008
#define MOUNT_ATTR__ATIME      0x00000070
#define MOUNT_ATTR_NOATIME     0x00000010
#define MOUNT_ATTR_STRICTATIME 0x00000020
#define MOUNT_ATTR_NODIRATIME  0x00000080
#define MOUNT_ATTR_IDMAP       0x00100000
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* The argument of clone(2) that has the flags. */
#ifdef __s390x__
#define SYS_CLONE_FLAGS_ARG 1
#else
#define SYS_CLONE_FLAGS_ARG 0
#endif

/* Has the layout of the kernel's struct mount_attr (mount_setattr(2)). */
struct sys_mount_attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

int sys_openat2(int dirfd, const char *path, const struct open_how *how);
/* Returns 0 in the child, which has a copy of the caller's stack (no CLONE_VM). Does not run atfork
 * handlers of the C library; the agent is single-threaded. */
pid_t sys_clone3(struct clone_args *args);
/* Calls clone(2) as sys_clone3() does clone3(2), which filters refuse because they cannot see its
 * flags. Writes to *pidfd and *child as the flags say; both may be NULL. Safe in a signal
 * handler. */
pid_t sys_clone(uint64_t flags, int *pidfd, pid_t *child);
int sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
int sys_pidfd_open(pid_t pid, unsigned int flags);
int sys_pidfd_send_signal(int pidfd, int sig);
/* Sends a signal to one thread. */
int sys_tgkill(pid_t pid, pid_t tid, int sig);
int sys_close_range(unsigned int first, unsigned int last, unsigned int flags);
int sys_open_tree(int dirfd, const char *path, unsigned int flags);
int sys_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to,
		   unsigned int flags);
int sys_mount_setattr(int dirfd, const char *path, unsigned int flags,
		      const struct sys_mount_attr *attr);
int sys_fsopen(const char *fstype, unsigned int flags);
int sys_fsconfig(int fd, unsigned int cmd, const char *key, const void *value, int aux);
int sys_fsmount(int fd, unsigned int flags, unsigned int attr_flags);
int sys_fspick(int dirfd, const char *path, unsigned int flags);
int sys_renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to,
		  unsigned int flags);
int sys_pivot_root(const char *new_root, const char *put_old);
/* Stores the id of the mount of dirfd and path (statx(2), STATX_MNT_ID; flags: AT_*). Returns -1
 * and errno on failure. An id is valid for comparisons only while the mount exists. */
int sys_mount_id(int dirfd, const char *path, int flags);
/* Returns 1 if fd is the root of a mount, 0 if not, or -1 and errno (statx(2),
 * STATX_ATTR_MOUNT_ROOT; Linux 5.8). */
int sys_is_mount_root(int fd);
/* Resets a signal to its default action, including signals that are reserved by the C library and
 * rejected by signal(2): they may have been inherited as ignored. Returns -1 and EINVAL for SIGKILL
 * and SIGSTOP. */
int sys_reset_signal(int sig);
/* Fills `out`, at most 256 bytes, with random bytes, without waiting until the kernel's pool is
 * initialised. */
void sys_random(void *out, size_t size);
int sys_finit_module(int fd, const char *params, int flags);
