/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker's clone does to become a container's process, from the first instruction to execve. */
#pragma once

#include "agent/container/launch/init_params.h"

/* Never returns. What fails before HANDSHAKE_READY is reported, afterwards it is the exit code: 127 if the program or its
 * interpreter is missing, 126 if it cannot be executed, 125 if the filter cannot be loaded; why is on its stderr. */
_Noreturn void container_init_run(struct container_init *e);
