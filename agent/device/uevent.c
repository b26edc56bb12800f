/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/uevent.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include "lib/cleanup.h"

int
uevent_open(struct error *err)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	auto_close int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				   NETLINK_KOBJECT_UEVENT);
	int size = 1 << 20;

	if (fd < 0)
		return error_sys(err, "failed to open the uevent socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_sys(err, "failed to bind the uevent socket");
	return steal_fd(&fd);
}
