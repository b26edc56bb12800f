/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals of container processes. Called by the new process, in the container's mount
 * namespace. */
#pragma once

#include <stdbool.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Sets the initial size of a terminal, if `size` is given. Errors are ignored. */
void tty_resize(int fd, const Grpc__Box *size);

/* Returns whether a devpts is mounted at the container's /dev/pts. */
bool tty_has_own(int root_fd);

/* Opens a pty of the container's devpts, or of the guest's if the container has none. Returns 0
 * and two fds that the caller owns, or -1 and err. */
int tty_open(int root_fd, const struct roots *roots, int *master, int *slave, struct error *err);

/* Binds the slave at `console` in the container's /dev. A slave of the guest's devpts is
 * skipped. Returns 0, or -1 and err. */
int tty_console(int dev_fd, int slave, struct error *err);
