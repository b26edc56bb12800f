/* SPDX-License-Identifier: Apache-2.0 */
/* From "vsock://-1:1024" and its like to a listening socket. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

/* Removes the socket's name, if there is one, and frees it. NULL is allowed. */
void address_forget(char *path);

/* Out of fds: takes one connection off the queue with *spare (an fd kept for that; -1: none) and
 * closes it, so that the listener does not stay readable for ever. *spare is made anew. Never
 * blocks. */
void address_shed(int listener, int *spare);

/* What a listener needs to take connections of the host alone: accept4(2), CLOEXEC and
 * non-blocking. Peers on vsock that are not the host (CID 2) are closed. Out of fds it sheds one
 * with *spare. *port: of the peer, on vsock. fd, or -1: nothing to serve now. Never blocks. */
int address_accept(int listener, int *spare, uint32_t *port);

/* A listening, non-blocking socket, or -1 and INVALID_ARGUMENT (the address) or INTERNAL (the
 * socket). *family: AF_*.
 * *path: a copy of the name of a unix socket in the file system (for
 * address_forget()), else NULL. An old socket of that name is replaced. Never blocks (names are
 * not looked up). */
int address_listen(const char *address, int *family, char **path, struct error *err);
