/* SPDX-License-Identifier: Apache-2.0 */
/* PID 1 from boot to power-off. */
#pragma once

#include <stdint.h>

#include "init/agent_exec.h"

/* Boots the guest, runs the agent and powers off. Never returns. main_ns is CLOCK_MONOTONIC at the
 * start of main(). argv has the words of the kernel command line that the kernel does not know;
 * only -c FILE (--config FILE) is passed on to the agent. */
_Noreturn void init_run(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main);
