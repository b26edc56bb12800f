/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that musl 1.2.6 or glibc 2.36 lacks. Numbers above 423 are the same on all
 * architectures. */
#include "lib/sys.h"

#include <errno.h>
#include <linux/stat.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef GRND_INSECURE
#define GRND_INSECURE 0x0004
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_fsopen
#define SYS_fsopen 430
#endif
#ifndef SYS_fsconfig
#define SYS_fsconfig 431
#endif
#ifndef SYS_fsmount
#define SYS_fsmount 432
#endif
#ifndef SYS_fspick
#define SYS_fspick 433
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

int
sys_openat2(int dirfd, const char *path, const struct open_how *how)
{
	return (int)syscall(SYS_openat2, dirfd, path, how, sizeof(*how));
}

pid_t
sys_clone3(struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

pid_t
sys_clone(uint64_t flags, int *pidfd, pid_t *child)
{
	/* Without a new stack. The address for the child's pid is the fourth or the fifth argument,
	 * depending on the architecture. The other is the thread-local storage, which is not
	 * used. */
	return (pid_t)(SYS_CLONE_FLAGS_ARG ? syscall(SYS_clone, NULL, flags, pidfd, child, child)
					   : syscall(SYS_clone, flags, NULL, pidfd, child, child));
}

int
sys_execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return (int)syscall(SYS_execveat, dirfd, path, argv, envp, flags);
}

int
sys_pidfd_open(pid_t pid, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

int
sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

int
sys_tgkill(pid_t pid, pid_t tid, int sig)
{
	return (int)syscall(SYS_tgkill, pid, tid, sig);
}

int
sys_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

int
sys_open_tree(int dirfd, const char *path, unsigned int flags)
{
	return (int)syscall(SYS_open_tree, dirfd, path, flags);
}

int
sys_move_mount(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags)
{
	return (int)syscall(SYS_move_mount, from_dirfd, from, to_dirfd, to, flags);
}

int
sys_mount_setattr(int dirfd, const char *path, unsigned int flags,
		  const struct sys_mount_attr *attr)
{
	return (int)syscall(SYS_mount_setattr, dirfd, path, flags, attr, sizeof(*attr));
}

int
sys_fsopen(const char *fstype, unsigned int flags)
{
	return (int)syscall(SYS_fsopen, fstype, flags);
}

int
sys_fsconfig(int fd, unsigned int cmd, const char *key, const void *value, int aux)
{
	return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}

int
sys_fsmount(int fd, unsigned int flags, unsigned int attr_flags)
{
	return (int)syscall(SYS_fsmount, fd, flags, attr_flags);
}

int
sys_fspick(int dirfd, const char *path, unsigned int flags)
{
	return (int)syscall(SYS_fspick, dirfd, path, flags);
}

int
sys_renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned int flags)
{
	return (int)syscall(SYS_renameat2, from_dirfd, from, to_dirfd, to, flags);
}

int
sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

int
sys_mount_id(int dirfd, const char *path, int flags)
{
	struct statx st = { 0 };

	if (syscall(SYS_statx, dirfd, path, flags, STATX_MNT_ID, &st) < 0)
		return -1;
	if (!(st.stx_mask & STATX_MNT_ID)) {
		errno = ENOSYS;
		return -1;
	}
	return (int)st.stx_mnt_id;
}

int
sys_is_mount_root(int fd)
{
	struct statx st = { 0 };

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0, &st) < 0)
		return -1;
	return (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

int
sys_reset_signal(int sig)
{
	/* The kernel's struct sigaction: handler, flags, restorer (if any), mask. All zero is
	 * SIG_DFL. */
	static const unsigned long zero[4];

	return (int)syscall(SYS_rt_sigaction, sig, zero, NULL, 8);
}

int
sys_finit_module(int fd, const char *params, int flags)
{
	return (int)syscall(SYS_finit_module, fd, params, flags);
}

void
sys_random(void *out, size_t size)
{
	struct timespec now;

	if (getrandom(out, size, GRND_INSECURE) == (ssize_t)size ||
	    getrandom(out, size, GRND_NONBLOCK) == (ssize_t)size)
		return;
	/* Linux before 5.6 with a pool that is not initialised: use values that differ between
	 * boots. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	memset(out, 0, size);
	memcpy(out, &now.tv_nsec, size < sizeof(now.tv_nsec) ? size : sizeof(now.tv_nsec));
}
