/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals, which an ordinary user cannot open everywhere: not if /dev/ptmx is the one of a devpts
 * that was mounted without ptmxmode=666. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define NO_TERMINAL "the user cannot open a terminal on this machine"

/* Returns whether this user can open a terminal. */
static inline bool
can_open_terminal(void)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
