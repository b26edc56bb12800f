/* SPDX-License-Identifier: Apache-2.0 */
/* Creates the sockets of listeners. Called at start by server.c and logsink.c. Never resolves
 * names. */
#include "agent/server/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/ttrpc/address.h"

#define BACKLOG 128

union peer_address {
	struct sockaddr sa;
	struct sockaddr_vm vm;
};

/* Removes a socket that a previous agent left behind. Any other file stays, and bind fails. */
static void
address_remove_old(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
}

void
address_forget(char *path)
{
	if (path)
		(void)unlink(path);
	free(path);
}

void
address_shed(int listener, int *spare)
{
	int fd;

	close_fd(spare);
	fd = RETRY_EINTR(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	close_fd(&fd);
	*spare = eventfd(0, EFD_CLOEXEC);
}

int
address_accept(int listener, int *spare, uint32_t *port)
{
	union peer_address peer = { .sa.sa_family = AF_UNSPEC };
	socklen_t size = sizeof(peer);
	int fd = RETRY_EINTR(accept4(listener, &peer.sa, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		address_shed(listener, spare);
	*port = peer.sa.sa_family == AF_VSOCK ? peer.vm.svm_port : 0;
	if (fd >= 0 && peer.sa.sa_family == AF_VSOCK && peer.vm.svm_cid != VMADDR_CID_HOST)
		close_fd(&fd);
	return fd;
}

int
address_listen(const char *address, int *family, char **path, struct error *err)
{
	const struct sockaddr *sa;
	const struct sockaddr_un *un;
	struct address a;
	auto_free char *copy = NULL;
	auto_close int fd = -1;
	int one = 1;

	if (address_parse(address, &a, err) < 0)
		return -1;
	if (a.hybrid)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid address \"%s\": cannot listen there", address);
	sa = (const struct sockaddr *)&a.addr;
	un = (const struct sockaddr_un *)&a.addr;
	if (sa->sa_family == AF_UNIX && un->sun_path[0] != '\0') {
		copy = strdup(un->sun_path);
		if (!copy)
			return error_nomem(err, "listening for connections");
		address_remove_old(copy);
	}
	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_sys(err, "address %s: failed to create a socket", address);
	if (sa->sa_family == AF_INET || sa->sa_family == AF_INET6)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa, a.len) < 0)
		return error_sys(err, "address %s: failed to bind", address);
	if (listen(fd, BACKLOG) < 0)
		return error_sys(err, "address %s: failed to listen", address);
	*family = sa->sa_family;
	*path = steal_ptr(&copy);
	return steal_fd(&fd);
}
