/* SPDX-License-Identifier: Apache-2.0 */
/* The persistent namespaces of a sandbox. */
#pragma once

#include "lib/error.h"

struct worker;

/* Makes the sandbox's ipc and uts namespaces, with `hostname` set in the latter. Returns 0 and
 * two fds that the caller owns, or -1 and err. Worker only: may block. */
int sandbox_namespaces_make(struct worker *w, const char *hostname, int *ipc_fd, int *uts_fd,
			    struct error *err);
