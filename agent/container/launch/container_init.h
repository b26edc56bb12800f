/* SPDX-License-Identifier: Apache-2.0 */
/* The set-up of a container's process, from the worker's clone to execve. */
#pragma once

#include "agent/container/launch/init_params.h"

/* Sets the calling process up and executes its program. Never returns. Errors before
 * HANDSHAKE_READY are sent to the worker; afterwards the exit code is 127 if the program or its
 * interpreter is missing, 126 if it cannot be executed, and 125 if the filter cannot be loaded,
 * with a message on stderr. */
_Noreturn void container_init_run(struct container_init *e);
