/* SPDX-License-Identifier: Apache-2.0 */
/* The life of PID 1. */
#pragma once

#include <stdint.h>

#include "init/agent_exec.h"

/* Boots the guest, runs the agent, powers off. Never returns. main_ns: CLOCK_MONOTONIC when main() was
 * entered. argv is what the kernel passed: words of its command line that it did not know, of which only
 * -c FILE (--config FILE) is handed on. */
_Noreturn void init_run(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main);
