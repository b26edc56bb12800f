/* SPDX-License-Identifier: Apache-2.0 */
/* From "vsock://-1:1024" and its like to a listening socket. */
#pragma once

#include <stddef.h>

#include "lib/error.h"

/* Removes the socket's name, if there is one, and frees it. NULL is allowed. */
void address_forget(char *path);

/* A listening, non-blocking socket, or -1 and INVALID_ARGUMENT (the address) or INTERNAL (the socket). *family: AF_*.
 * *path: a copy of the name of a unix socket in the file system (for
 * address_forget()), else NULL. An old socket
 * of that name is replaced. Never blocks (names are not looked up). */
int address_listen(const char *address, int *family, char **path, struct error *err);
