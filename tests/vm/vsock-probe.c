/* SPDX-License-Identifier: Apache-2.0 */
/* Tries to reach vsock ports of its own guest from a container: by CID 1 (loopback), by the
 * guest's own CID and by any. Exit code 0: no connection was served; 1: one was. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

static int
is_served(unsigned int cid, unsigned int port)
{
	/* a ttrpc Check request in the form a host sends */
	static const unsigned char check[] = "\0\0\0\x14\0\0\0\x01\x01\0\x0a\x0bgrpc.Health\x12\x05"
					     "Check";
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	struct pollfd p = { .events = POLLOUT };
	char reply[16];
	ssize_t n;
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return 0;
	p.fd = fd;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno != EINPROGRESS) {
		close(fd);
		return 0;
	}
	(void)poll(&p, 1, 3000);
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error || !(p.revents & POLLOUT) ||
	    send(fd, check, sizeof(check) - 1, MSG_NOSIGNAL) < 0) {
		close(fd);
		return 0;
	}
	p.events = POLLIN;
	(void)poll(&p, 1, 3000);
	n = recv(fd, reply, sizeof(reply), 0);
	close(fd);
	printf("cid %u port %u: %zd bytes\n", cid, port, n);
	return n > 0;
}

int
main(int argc, char **argv)
{
	int dev = open("/dev/vsock", O_RDONLY | O_CLOEXEC), served = 0;
	unsigned int own = 3;

	if (dev >= 0)
		(void)ioctl(dev, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &own);
	for (int i = 1; i < argc; i++) {
		unsigned int port = (unsigned int)strtoul(argv[i], NULL, 10);

		served |= is_served(VMADDR_CID_LOCAL, port);
		served |= is_served(own, port);
		served |= is_served(VMADDR_CID_ANY, port);
	}
	return served;
}
