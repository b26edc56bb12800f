/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals, which an ordinary user cannot open everywhere: /dev/pts/ptmx needs a devpts that was
 * mounted with ptmxmode=666, and /dev/ptmx may be that file or a device of its own. */
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

/* Returns whether this user can open a terminal as in a guest, by the file of devpts. */
static inline bool
can_open_guest_terminal(void)
{
	int fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
