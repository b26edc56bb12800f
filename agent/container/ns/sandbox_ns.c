/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's ipc and uts namespaces, which live as long as the agent holds their fds. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "agent/container/ns/sandbox_ns.h"
#include "lib/cleanup.h"

/* Opens one of the calling process's namespaces. The caller is in the guest's mount namespace,
 * where a container cannot mount over /proc. Returns an fd, or -1 and err. */
static int
sandbox_ns_own(const char *path, struct error *err)
{
	int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		error_sys(err, "failed to open %s", path);
	return fd;
}

int
sandbox_namespaces_make(struct worker *w, const char *hostname, int *ipc_fd, int *uts_fd,
			struct error *err)
{
	auto_close int old_ipc = -1;
	auto_close int old_uts = -1;
	auto_close int ipc = -1;
	auto_close int uts = -1;

	(void)w;
	if ((old_ipc = sandbox_ns_own("/proc/self/ns/ipc", err)) < 0 ||
	    (old_uts = sandbox_ns_own("/proc/self/ns/uts", err)) < 0)
		return -1;
	if (unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		return error_sys(err, "failed to create ipc and uts namespaces");
	if (*hostname && sethostname(hostname, strlen(hostname)) < 0)
		return error_sys_code(err,
				      errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				      "failed to set host name %.80s", hostname);
	if ((ipc = sandbox_ns_own("/proc/self/ns/ipc", err)) < 0 ||
	    (uts = sandbox_ns_own("/proc/self/ns/uts", err)) < 0)
		return -1;
	/* The worker's remaining steps run in the guest's namespaces. */
	if (setns(old_ipc, CLONE_NEWIPC) < 0 || setns(old_uts, CLONE_NEWUTS) < 0)
		return error_sys(err, "failed to return to the guest's namespaces");
	*ipc_fd = steal_fd(&ipc);
	*uts_fd = steal_fd(&uts);
	return 0;
}
