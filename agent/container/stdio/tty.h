/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals of container processes. By the new process, in the container's mount namespace. */
#pragma once

#include <stdbool.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* The size that a process is to begin with, if it has one; hosts send another one soon. */
void tty_resize(int fd, const Grpc__Box *size);

/* Is there a devpts in the container's /dev/pts? */
bool tty_has_own(int root_fd);

/* A pty of the container's own devpts (the guest's if it has none): two fds, owned by the caller. */
int tty_open(int root_fd, const struct roots *roots, int *master, int *slave, struct error *err);

/* The slave as dev/console below the container's /dev. */
int tty_console(int dev_fd, int slave, struct error *err);
