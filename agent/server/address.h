/* SPDX-License-Identifier: Apache-2.0 */
/* Makes listening sockets of addresses such as "vsock://-1:1024". */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Unlinks the socket at path and frees path, which may be NULL. */
void address_forget(char *path);

/* Without free fds: accepts one connection by giving up *spare (a reserved fd; -1: none) and closes
 * it, so that the listener does not stay readable forever; then reserves *spare again. Never
 * blocks. */
void address_shed(int listener, int *spare);

/* Accepts one connection from the host: CLOEXEC and non-blocking. Closes vsock peers that are not
 * the host (CID 2). Without free fds it sheds a connection (address_shed()). *port: the vsock port
 * of the peer. Returns the fd, or -1 if there is nothing to serve now. Never blocks. */
int address_accept(int listener, int *spare, uint32_t *port);

/* Returns a listening, non-blocking socket, or -1 and INVALID_ARGUMENT (the address) or INTERNAL
 * (the socket). *family: AF_*. *path: for a unix socket in the file system a copy of its name (for
 * address_forget()), else NULL. Replaces an old socket of that name. Never blocks, since names are
 * not resolved. */
int address_listen(const char *address, int *family, char **path, struct error *err);
