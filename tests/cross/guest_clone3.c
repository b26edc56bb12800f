/* SPDX-License-Identifier: Apache-2.0 */
/* sys_clone3() of unit tests that run by qemu-user (clone3.h). It replaces that of lib/sys.c. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sys.h"
#include "tests/cross/clone3.h"

pid_t
sys_clone3(struct clone_args *args)
{
	long whence = (long)CLONE3_WHENCE(args->exit_signal, args->cgroup);
	pid_t pid;

	if (syscall(SYS_lseek, CLONE3_ANNOUNCE, args->flags, whence) < 0) {
		errno = ENOSYS;
		return -1;
	}
	pid = sys_clone(SIGCHLD, NULL, NULL);
	if (pid > 0 && args->flags & CLONE_PIDFD)
		*(int *)(uintptr_t)args->pidfd = (int)syscall(SYS_lseek, CLONE3_PIDFD, 0L, 0L);
	return pid;
}
