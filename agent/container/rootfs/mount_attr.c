/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/rootfs/mount_attr.h"

#include <fcntl.h>

#include "lib/sys.h"

int
mount_set(int fd, uint64_t set, uint64_t clear, uint64_t propagation, bool below, struct error *err)
{
	struct sys_mount_attr attr = { .attr_set = set,
				       .attr_clr = clear,
				       .propagation = propagation };

	if (!set && !clear && !propagation)
		return 0;
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), &attr) < 0)
		return error_sys(err, "failed to set mount attributes");
	return 0;
}
