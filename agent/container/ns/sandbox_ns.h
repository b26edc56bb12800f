/* SPDX-License-Identifier: Apache-2.0 */
/* The persistent namespaces of a sandbox. */
#pragma once

#include "lib/error.h"

struct worker;

/* Makes the sandbox's persistent ipc and uts namespaces (hostname set in uts): two fds. Worker only. */
int sandbox_namespaces_make(struct worker *w, const char *hostname, int *ipc_fd, int *uts_fd,
			    struct error *err);
